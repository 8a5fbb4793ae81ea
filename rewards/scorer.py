"""From completions to scores: programs are run, answers checked, the reward functions called, their weighted values summed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rewards.equal import Checker, Verdict
from rewards.program import Program, ProgramError, Programs, Result
from rewards.terms import RewardError, RewardTerm, ask_term, call_term, confine


@dataclass(frozen=True)
class Score:
    """What one completion earned: `reward` is the weighted sum of those `parts` that apply, None where none does, or where one
    should have and its function failed: `failures` says why, by the reward's name."""

    extracted: str | None
    verdict: Verdict
    parts: Mapping[str, float | None]
    reward: float | None
    failures: Mapping[str, str] = field(default_factory=dict)


class Scorer:
    """Scores completions: runs those that are programs, checks the answers, calls the reward functions, sums their weighted
    values.

    Args:
        terms: the rewards, in the config's order.
        checker: compares answers with the known ones.
        programs: runs the chains that are programs.
        forgiving: whether a function that fails for some completions leaves those without a reward, and raises nothing.
    """

    def __init__(
        self, terms: Sequence[RewardTerm], checker: Checker, programs: Programs | None = None, forgiving: bool = False
    ) -> None:
        self.terms = tuple(terms)
        self.checker = checker
        self.programs = programs or Programs()
        self.forgiving = forgiving

    @cached_property
    def _confined(self) -> tuple[RewardTerm, ...]:
        """The rewards, with others' functions in processes that can be killed."""
        return tuple(map(confine, self.terms))

    def score(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        found: Sequence[str | Program | None],
        answers: Sequence[str],
        columns: Sequence[Mapping[str, Any]],
        confined: bool = False,
    ) -> list[Score]:
        """A score for each completion; all arguments have one entry a completion. What was found in one is its answer, a
        program that computes it, or nothing.

        Args:
            confined: whether all functions that are not this project's run in processes that can be killed.

        Raises:
            RewardError: if programs cannot be run; and, of one that is not forgiving, if a function raises, or returns other
                than one finite number or None a completion.
        """
        results = self._results(found)
        extracted = [result.answer for result in results]
        verdicts = [self._verdict(result, gold) for result, gold in zip(results, answers, strict=True)]
        shared = {key for row in columns for key in row}
        keywords: dict[str, list[Any]] = {key: [row.get(key) for row in columns] for key in sorted(shared)}
        keywords |= {
            "prompts": list(prompts),
            "completions": list(completions),
            "completion_ids": list(completion_ids),
            "answer": list(answers),
            "extracted": extracted,
            "verdict": [verdict.outcome for verdict in verdicts],
        }
        parts: dict[str, list[float | None]] = {}
        failures: list[dict[str, str]] = [{} for _ in completions]
        for term in self._confined if confined else self.terms:
            if not self.forgiving:
                parts[term.name] = call_term(term, keywords, len(completions))
                continue
            parts[term.name], failed = ask_term(term, keywords, len(completions))
            for place, why in failed.items():
                failures[place][term.name] = why
        return [
            self._sum(extracted[row], verdicts[row], {name: values[row] for name, values in parts.items()}, failures[row])
            for row in range(len(completions))
        ]

    def close(self) -> None:
        """End the processes of the checker, of programs and of confined functions."""
        self.checker.close()
        self.programs.close()
        for term in (*self.terms, *self.__dict__.get("_confined", ())):
            if term.sandbox is not None:
                term.sandbox.close()

    def _results(self, found: Sequence[str | Program | None]) -> list[Result]:
        """Answers, those of programs by running them."""
        try:
            ran = iter(self.programs.run([item for item in found if isinstance(item, Program)]))
        except ProgramError as error:
            raise RewardError(str(error)) from error
        return [next(ran) if isinstance(item, Program) else Result(item, "") for item in found]

    def _verdict(self, result: Result, gold: str) -> Verdict:
        if result.reason:
            return Verdict("no_answer", "program", result.reason)
        return self.checker.check(result.answer, gold)

    def _sum(
        self, extracted: str | None, verdict: Verdict, parts: Mapping[str, float | None], failures: Mapping[str, str]
    ) -> Score:
        applying = [term.weight * value for term in self.terms if (value := parts[term.name]) is not None]
        # A sum without one of its parts would be another reward.
        return Score(extracted, verdict, parts, sum(applying) if applying and not failures else None, failures)
