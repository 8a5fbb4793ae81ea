"""What is kept of sampled chains."""

from dataclasses import replace

import pytest

from reft.config import Distinct
from reft.selection import equations, keep, spread
from rewards.equal import Verdict
from rollout.types import Sample
from tests.reft.test_batch import sample


def drawn(name: str, text: str, outcome: str = "equal", finish: str = "stop") -> Sample:
    made = sample([1], [2], finish=finish)
    return replace(
        made,
        problem=replace(made.problem, id=name),
        completion=replace(made.completion, text=text),
        verdict=Verdict(outcome, "text", ""),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sam has 5 + 2 = 7 pens. So Ann has 7-3=4.", ("5+2=7", "7-3=4")),
        ("It costs $3 * (2 + 1) = $9, and 10% of 50 = 5 more.", ("3*(2+1)=9", "50=5")),
        ("5+2 =7", ("5+2=7",)),
        ("5+2=7\n7-3=4", ("5+2=7", "7-3=4")),
        ("x = 7", ()),
        ("the answer is 7", ()),
        ("", ()),
        ("In 2020, 5+2=7", ("5+2=7",)),
        ("6/8 = 3/4.", ("6/8=3/4",)),
        ("2*3 = 6 + 1 = 7", ("2*3=6+1", "6+1=7")),
        ("1,200+1=1,201, -3+5=2", ("1,200+1=1,201", "-3+5=2")),
        *((text * 50_000, ()) for text in ("1", "(", " ", "- ", "1,", "( ", "1+")),  # in no time
    ],
)
def test_equations_are_read_from_text(text: str, found: tuple[str, ...]) -> None:
    assert equations(text) == found


SAMPLES = [
    drawn("a", "2 + 3 = 5, so 5"),
    drawn("b", "no sums"),
    drawn("a", "wrong", "different"),
    drawn("a", "2 + 3 = 5, so 5"),
    drawn("a", "2 + 3 = 5. It is 5"),
    drawn("a", "3 + 2 = 5"),
    drawn("b", "cut", finish="length"),
    drawn("b", "no sums either"),
    drawn("c", "undecided", "undecided"),
]


@pytest.mark.parametrize(
    ("distinct", "cap", "kept"),
    [
        ("none", None, [0, 3, 4, 5, 1, 7]),
        ("text", None, [0, 4, 5, 1, 7]),
        ("equations", None, [0, 5, 1, 7]),
        ("none", 2, [0, 3, 1, 7]),
        ("equations", 1, [0, 1]),
    ],
)
def test_right_chains_are_kept_where_they_differ(distinct: Distinct, cap: int | None, kept: list[int]) -> None:
    found = keep(SAMPLES, distinct, cap)
    assert [next(at for at, other in enumerate(SAMPLES) if other is one) for one in found] == kept


def test_equations_in_another_order_or_number_are_another_way() -> None:
    texts = ("1+2=3, 3+4=7", "3+4=7, 1+2=3", "1+2=3, 3+4=7, 3+4=7")
    assert len(keep([drawn("a", text) for text in texts], "equations", None)) == 3


def test_nothing_right_is_nothing_kept() -> None:
    assert keep([drawn("a", "x", "different")], "text", None) == keep([], "none", 3) == []


def test_chains_by_edits_are_those_far_apart() -> None:
    """The first, then always the farthest; distances in words: a-b 1/4, a-c 2/4, b-c 3/4, a-d 0."""
    chains = [drawn("a", text) for text in ("1 2 3 4", "1 2 3 5", "6 7 3 4", "1 2 3 4")]
    first, near, far, _ = chains
    assert spread(chains, 0.2, None) == [first, near, far]
    assert spread(chains, 0.3, None) == [first, far]
    assert spread(chains, 0.2, 2) == [first, far], "the farthest before the nearer"
    assert spread(chains, 0.6, None) == [first]
    assert spread([first, drawn("a", "1 2")], 0.5, None)[1:], "over the words of the longer one"
    other = drawn("b", "1 2 3 4")
    assert keep([*chains, other, drawn("a", "9 9 9 9", "different")], "edits", None, 0.3) == [first, far, other]
