"""Chains of an exam marked while others are sampled. Marking is Python's work, as much as a twelfth of what sampling takes, and
whoever has workers sample waits for them meanwhile."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy

from reft.config import Config
from reft.exams import Exam
from reft.rollouts import make_checker
from reft.scores import majority_shares, powers
from reft.tasks import Trace
from rewards.equal import Verdict
from rollout.types import Completion, Problem, Sample
from rollout.worker import derive_seed

MODES = ("greedy", "sampled")
Row = Mapping[str, Any]


@dataclass
class Marks:
    """What chains show, by mode and problem, in the problems' order."""

    groups: dict[str, list[list[Sample]]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    traces: dict[str, list[list[Trace | None]]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    majorities: list[list[float]] = field(default_factory=list)
    """maj@k of each problem's sampled chains, for k = 1, 2, 4, ... up to their number."""


class Marker:
    """A context that marks problems in a thread beside, one after the other. Left early, it drops what it has not begun.

    Args:
        exam: whose problems they are.
        config: of the checker, and of the seed.
    """

    def __init__(self, exam: Exam, config: Config) -> None:
        self._exam = exam
        self._checker = make_checker(config.checker)
        self._seed = derive_seed(config.seed, "scores", exam.name)
        self._marks = Marks()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="marking")
        self._asked: list[Future[None]] = []

    def __enter__(self) -> "Marker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._checker.close()

    def add(self, rows: Sequence[Row]) -> None:
        """Take the rows of the problems that come next."""
        self._asked += [self._thread.submit(self._mark, row) for row in rows]

    def marks(self) -> Marks:
        """Those of all that was added, once they are there. Raises what a task or the checker has raised."""
        for asked in self._asked:
            asked.result()
        return self._marks

    def _mark(self, row: Row) -> None:
        place = len(self._marks.majorities)
        problem, task = self._exam.problems[place], self._exam.task
        traces = {text: task.trace(problem, text) for text in {chain["chain"] for mode in MODES for chain in row[mode]}}
        for mode in MODES:
            self._marks.groups[mode].append(samples_of(problem, row, mode))
            self._marks.traces[mode].append([traces[chain["chain"]] for chain in row[mode]])
        sampled = self._marks.groups["sampled"][place]
        self._marks.majorities.append(majority_shares(sampled, self._checker, powers(len(sampled)), self._seed, place))


def samples_of(problem: Problem, row: Row, mode: str) -> list[Sample]:
    """A problem's chains as samples again. Of tokens and log-probs only the number is known."""
    prompt = numpy.zeros(row["prompt_tokens"], numpy.int32)
    return [
        Sample(
            problem,
            Completion(
                prompt, numpy.zeros(chain["tokens"], numpy.int32), numpy.zeros(chain["tokens"], numpy.float32),
                chain["chain"], chain["finish"],
            ),
            chain["extracted"], Verdict(chain["verdict"], chain["stage"], chain["why"]), {}, None, 0,
        )
        for chain in row[mode]
    ]  # fmt: skip
