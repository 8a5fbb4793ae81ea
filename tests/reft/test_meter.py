"""Spending by hand."""

from reft.meter import loop_spending, rounds_spending
from reft.run import RunState

STEP = {"samples/count": 4.0, "samples/tokens": 20.0, "samples/prompt_tokens": 12.0, "samples/learnt_tokens": 16.0}


def test_the_loop_samples_scores_and_learns() -> None:
    state = RunState(seconds={"reinforce": 7.0})
    sampled, learnt = 2 * 32, 6 * 2 * 16
    bare = loop_spending([STEP], state, weights=10, epochs=2)
    assert (bare.chains, bare.flops, bare.seconds) == (4, 10 * (sampled + learnt), 7.0)
    scored = STEP | {"advantage/std": 1.0}
    assert loop_spending([scored], state, 10, 2).flops == 10 * (sampled + 2 * 16 + learnt), "by the policy"
    held = scored | {"kl/reference": 0.1}
    assert loop_spending([held, STEP], state, 10, 2).flops == 10 * (2 * sampled + 2 * 2 * 16 + 2 * learnt), (
        "by the reference too"
    )
    apart = loop_spending([held], state, 10, 2, critic_weights=7)
    assert apart.flops == 10 * (sampled + 2 * 2 * 16 + learnt) + 7 * (2 * 16 + learnt), "a critic has no reference"


def test_rounds_sample_and_imitate() -> None:
    state = RunState(seconds={"self_training": 3.0}, tokens_imitated={"warmup": 999, "round_001": 50, "round_002": 70})
    rows = [{"round/samples": 5, "round/hinted": 2, "round/tokens": 30, "round/prompt_tokens": 20}] * 2
    spent = rounds_spending(rows, state, weights=10, imitated=123)
    assert (spent.chains, spent.flops, spent.seconds) == (14, 10 * (2 * 100 + 6 * 120), 3.0)
    assert rounds_spending([{"dev/greedy": 0.5}], state, 10, imitated=123).chains == 123, "what imitates alone counts that"
