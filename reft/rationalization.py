"""STaR's rationalization: chains that were written with a hint of the answer, told of as if they had been written without."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reft.errors import RunError
from reft.tasks import Hint
from rollout.types import Problem, Sample


def check_hints(problems: Sequence[Problem], hints: Mapping[str, Hint]) -> None:
    """Raise `RunError` if a hint, by the problems' ids, stands in the prompt that should be without."""
    for problem in problems:
        if _holds(problem.prompt, hints[problem.id]):
            raise RunError(
                f"the hint {hints[problem.id].text!r} of problem {problem.id!r} leaks: its prompt without a hint holds it too; "
                "mend the task's `hinted`"
            )


def without_hints(
    samples: Sequence[Sample], problems: Sequence[Problem], hints: Mapping[str, Hint]
) -> list[tuple[Sample, bool]]:
    """`samples` of hinted prompts as samples of the problems themselves, and whether the chain quotes its hint.

    Args:
        samples: drawn with the hints.
        problems: as they are without.
        hints: by the problems' ids.
    """
    plain = {problem.id: problem for problem in problems}
    return [
        (replace(sample, problem=plain[sample.problem.id]), _holds(sample.completion.text, hints[sample.problem.id]))
        for sample in samples
    ]


def _holds(text: str, hint: Hint) -> bool:
    """Whether the hint's words stand in a text one behind the other, whatever their case and what is between them."""
    return f" {_words(hint.text)} " in f" {_words(text)} "


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+|[^\w\s.,;:()'\"]", text.lower()))
