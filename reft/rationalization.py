"""STaR's rationalization: chains that were written with a hint of the answer, told of as if they had been written without."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from reft.errors import RunError
from reft.tasks import Hint, words
from rollout.types import Problem, Sample


def check_hints(problems: Sequence[Problem], hints: Mapping[str, Hint]) -> None:
    """Raise `RunError` if a hint, by the problems' ids, stands in the prompt that should be without; or not in its own, since
    then no chain that quotes it would be known."""
    for problem in problems:
        hint = hints[problem.id]
        if hint.stands_in(problem.prompt):
            raise RunError(
                f"the hint {hint.text!r} of problem {problem.id!r} leaks: its prompt without a hint holds it too; "
                "mend the task's `hinted`"
            )
        if not hint.text.strip() or not hint.stands_in(hint.prompt):
            raise RunError(
                f"the hint {hint.text!r} of problem {problem.id!r} does not stand in the prompt that it belongs to, so that a "
                "chain that quotes it would not be known; mend the task's `hinted`"
            )


def marks_of(hints: Iterable[Hint], plain: Iterable[str]) -> frozenset[str]:
    """Words that only hints have: none of them stands in the `plain` texts, and none holds a digit, as an answer does. By them
    a chain is known that speaks of its hint in other words, "the hint says 1,234"."""
    found = {word for hint in hints for word in words(hint.text) if not any(map(str.isdigit, word))}
    for text in plain if found else ():
        found -= set(words(text))
    return frozenset(found)


def is_marked(sample: Sample, marks: Set[str]) -> bool:
    """Whether a chain has a word that only hints have."""
    return bool(marks) and not marks.isdisjoint(words(sample.completion.text))


def check_stored(samples: Sequence[Sample], hints: Mapping[str, Hint], marks: Set[str]) -> None:
    """Raise `RunError` if a sample that is to be stored holds the hint of its problem, in its prompt or in its chain, or a word
    that only hints have."""
    for sample in samples:
        hint = hints.get(sample.problem.id)
        if is_marked(sample, marks) or (hint and hint.stands_in(f"{sample.problem.prompt}\n{sample.completion.text}")):
            raise RunError(f"a chain of problem {sample.problem.id!r} that is to be kept holds its hint; nothing was kept")


def without_hints(
    samples: Sequence[Sample], problems: Sequence[Problem], hints: Mapping[str, Hint], marks: Set[str]
) -> list[tuple[Sample, bool]]:
    """`samples` of hinted prompts as samples of the problems themselves, and whether the chain quotes its hint or speaks of it.

    Args:
        samples: drawn with the hints.
        problems: as they are without.
        hints: by the problems' ids.
        marks: words that only hints have.
    """
    plain = {problem.id: problem for problem in problems}
    return [
        (
            replace(sample, problem=plain[sample.problem.id]),
            hints[sample.problem.id].stands_in(sample.completion.text) or is_marked(sample, marks),
        )
        for sample in samples
    ]
