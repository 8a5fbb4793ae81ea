"""STaR's rationalization: chains that were written with a hint of the answer, told of as if they had been written without."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reft.errors import RunError
from reft.tasks import Hint
from rollout.types import Problem, Sample


def without_hints(samples: Sequence[Sample], problems: Sequence[Problem], hints: Mapping[str, Hint]) -> list[Sample]:
    """`samples` of hinted prompts as samples of the problems themselves, less those whose chain quotes its hint.

    Args:
        samples: drawn with the hints.
        problems: as they are without.
        hints: by the problems' ids.

    Raises:
        RunError: if a hint stands in the prompt that should be without.
    """
    plain = {problem.id: problem for problem in problems}
    for name, problem in plain.items():
        if _holds(problem.prompt, hints[name]):
            raise RunError(
                f"the hint {hints[name].text!r} of problem {name!r} leaks: its prompt without a hint holds it too; "
                "mend the task's `hinted`"
            )
    return [
        replace(sample, problem=plain[sample.problem.id])
        for sample in samples
        if not _holds(sample.completion.text, hints[sample.problem.id])
    ]


def _holds(text: str, hint: Hint) -> bool:
    return " ".join(hint.text.split()) in " ".join(text.split())
