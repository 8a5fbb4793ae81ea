"""One chain out of many: votes, scores, and what any choice can reach."""

from collections.abc import Iterator, Sequence

import numpy
import pytest

from rewards.equal import Checker, Verdict
from rollout.search.vote import any_right, best, majority
from rollout.types import Completion, Problem, Sample


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    checker = Checker()
    yield checker
    checker.close()


def drawn(answers: Sequence[str | None], right: str = "") -> list[Sample]:
    empty = numpy.zeros(0)
    completion = Completion(empty.astype(numpy.int32), empty.astype(numpy.int32), empty.astype(numpy.float32), "", "stop")
    outcomes = ["no_answer" if not answer else "equal" if answer == right else "different" for answer in answers]
    return [
        Sample(Problem("p", "", ""), completion, answer, Verdict(outcome, "text", ""), {}, None, 0)  # type: ignore[arg-type]
        for answer, outcome in zip(answers, outcomes, strict=True)
    ]


@pytest.mark.parametrize(
    ("answers", "place"),
    [
        (["1"], 0),
        (["1", "2", "2"], 1),
        (["2", "1", "1", "2"], 0),  # as many votes: the one that came first
        (["1", "2", "1", "2", "2"], 1),
        ([None, None, "3"], 2),  # no answer is no vote
        (["", "", " ", "3"], 3),
        (["7", "0.5", "\\frac12", "7", "1/2"], 1),  # one value in three spellings
        (["7", "1,000", "7", "1000", "1e3"], 1),
        (["0.333", "7", "0.3333", "7"], 1),  # rounds only one way: two answers
        (["x^", "1", "x^"], 0),  # what the checker cannot read is met by its text
        (["10 m", "10 cm", "10 cm"], 1),
    ],
)
def test_the_majority(checker: Checker, answers: list[str | None], place: int) -> None:
    samples = drawn([answer if answer is None else answer.strip() for answer in answers])
    assert majority(samples, checker) is samples[place]


def test_without_an_answer_nothing_is_picked(checker: Checker) -> None:
    for samples in (drawn([None, ""]), []):
        assert majority(samples, checker) is None
        assert best(samples, [0.0] * len(samples)) is None
        assert not any_right(samples)


def test_texts_that_are_the_same_are_not_compared() -> None:
    class Counting(Checker):
        asked = 0

        def check(self, answer: str | None, gold: str) -> Verdict:
            self.asked += 1
            return super().check(answer, gold)

    checker = Counting()
    samples = drawn(["1"] * 50 + ["2"] * 50)
    assert majority(samples, checker) is samples[0]
    assert checker.asked == 1
    checker.close()


def test_the_best_score_among_those_that_answer() -> None:
    samples = drawn([None, "1", "2", "3", "2"])
    assert best(samples, [0.9, 0.1, 0.7, 0.2, 0.7]) is samples[2]
    assert best(samples, [0.9, 0.1, 0.0, 0.2, 0.1]) is samples[3]
    assert best(samples, [0.9, 0.0, 0.0, 0.0, 0.0]) is samples[1]
    with pytest.raises(ValueError, match="zip"):
        best(samples, [0.5])


def test_the_upper_bound() -> None:
    assert any_right(drawn(["1", "2", None], right="2"))
    assert not any_right(drawn(["1", "3", None], right="2"))
