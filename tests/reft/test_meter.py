"""Spending by hand."""

import pytest

from reft.flops import Cost
from reft.meter import Meter, loop_spending, rounds_spending
from reft.run import RunState

STEP = {
    "samples/count": 4.0, "samples/computed_tokens": 32.0, "samples/computed_pairs": 50.0, "samples/learnt_tokens": 16.0,
    "samples/learnt_pairs": 30.0,
}  # fmt: skip
POLICY = Cost(token=10, pair=3)
LEARNT = 10 * 16 + 3 * 30


def test_the_loop_samples_scores_and_learns() -> None:
    meter = Meter(POLICY, epochs=2)
    bare = {"compute/sample": 10 * 32 + 3 * 50, "compute/score": 0, "compute/update": 2 * 3 * LEARNT}
    assert meter.read(STEP) == bare
    scored = STEP | {"advantage/std": 1.0}
    assert meter.read(scored) == bare | {"compute/score": LEARNT}, "by the policy"
    held = scored | {"kl/reference": 0.1}
    assert meter.read(held) == bare | {"compute/score": 2 * LEARNT}, "by the reference too"
    apart = Meter(POLICY, Cost(7, 2), 2).read(held)
    critic = 7 * 16 + 2 * 30
    assert apart == bare | {"compute/score": 2 * LEARNT + critic, "compute/update": 6 * (LEARNT + critic)}


def test_a_loop_has_spent_what_its_state_says() -> None:
    state = RunState(seconds={"reinforce": 7.0}, flops={"warmup": 5.0, "reinforce": 11.0})
    spent = loop_spending([STEP, STEP], state)
    assert (spent.chains, spent.flops, spent.seconds) == (8, 11.0, 7.0)


def test_rounds_sample_and_imitate() -> None:
    flops = {"warmup": 999.0, "self_training": 100.0, "round_001": 50.0, "round_002": 70.0}
    state = RunState(seconds={"self_training": 3.0}, flops=flops)
    rows = [{"round/samples": 5, "round/hinted": 2}] * 2
    spent = rounds_spending(rows, state, imitated=123)
    assert (spent.chains, spent.flops, spent.seconds) == (14, 220.0, 3.0)
    assert rounds_spending([{"dev/greedy": 0.5}], state, imitated=123).chains == 123, "what imitates alone counts that"


@pytest.mark.parametrize("lacking", ["samples/computed_tokens", "samples/learnt_pairs"])
def test_what_a_step_lacks_is_no_zero(lacking: str) -> None:
    with pytest.raises(KeyError, match=lacking):
        Meter(POLICY, epochs=2).read({name: value for name, value in STEP.items() if name != lacking})
