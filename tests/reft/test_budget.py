"""What a budget buys, by hand."""

import pytest

from reft.budget import BILLS, Prices, cost, durations, operations
from reft.flops import Cost
from reft.methods import METHODS
from reft.run import RunState

ROWS = [
    {"samples/count": 4.0, "samples/kept": 4.0, "samples/tokens": 20.0, "samples/prompt_tokens": 12.0,
     "samples/computed_tokens": 18.0, "samples/computed_pairs": 40.0,
     "answer/correct": 0.25, "time/sample": 2.0, "time/update": 6.0},
    {"samples/count": 12.0, "samples/kept": 8.0, "samples/tokens": 100.0, "samples/prompt_tokens": 28.0,
     "samples/computed_tokens": 94.0, "samples/computed_pairs": 200.0,
     "answer/correct": 0.75, "time/sample": 6.0, "time/update": 12.0},
]  # fmt: skip
WARM = RunState(seconds={"warmup": 30.0}, tokens_imitated={"warmup": 600}, flops={"warmup": 9000.0})
PRICES = Prices(sample=1.0, imitate=10.0, update=100.0, demonstration=1000.0, right=0.5)


def test_operations_are_those_of_the_mean_chain() -> None:
    prices = operations(ROWS, WARM, Cost(token=7, pair=2), shown=60)
    length = (120 + 40) // 16
    learnt = 3 * (7 * length + 2 * 55)
    assert prices == Prices(
        sample=(7 * 112 + 2 * 240) / 16,
        imitate=learnt,
        update=learnt,
        demonstration=9000 / 60,
        right=(1 + 9) / 16,
    )


def test_durations_are_those_that_were_measured() -> None:
    prices = durations(ROWS, WARM, epochs=3, shown=60)
    assert prices == Prices(
        sample=8.0 / 16,
        imitate=30.0 / 600 * 10.0,  # the warm-up's seconds a token, for a chain of ten
        update=18.0 / (3 * 12),
        demonstration=30.0 / 60,
        right=10 / 16,
    )


@pytest.mark.parametrize(
    ("method", "fixed", "chain"),
    [
        ("sft", 0.0, 1000.0),
        ("star", 0.0, 1.0 + 0.5 * 2 * 10.0),
        ("rest-em", 0.0, 1.0 + 0.5 * 2 * 10.0),
        ("rft", 40 * 2 * 1000.0, 1.0 + 0.5 * 2 * 10.0),
        ("offline-st", 40 * 2 * 1000.0, 1.0 + 0.5 * 2 * 10.0),
        ("online-st", 0.0, 1.0 + (0.5 + 0.25) * 2 * 100.0),
    ],
)
def test_a_method_pays_for_what_it_does(method: str, fixed: float, chain: float) -> None:
    assert cost(BILLS[method], PRICES, epochs=2, demonstrations=40, shown=0.25) == (fixed, chain)


def test_every_method_but_the_one_that_sets_the_amount_has_a_bill() -> None:
    assert set(BILLS) == set(METHODS) - {"reft"}
