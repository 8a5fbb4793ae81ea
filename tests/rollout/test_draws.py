"""Which token comes next, by closed forms and by counting."""

import math

import pytest
import torch
from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from rollout.engines.draws import choose, forbid_end, stream_seed, truncate, uniforms
from rollout.types import SamplingParams


def params(temperature: float = 1.0, **changes: float) -> SamplingParams:
    return SamplingParams(temperature, 1, **changes)  # type: ignore[arg-type]


def test_sampling_follows_the_distribution() -> None:
    logits = torch.tensor([0.5, 0.0, -math.inf, 1.0]).expand(20_000, 4)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen, logprobs = choose(logits, params(0.5), uniform)
    expected = torch.softmax(torch.tensor([1.0, 0.0, -math.inf, 2.0]), 0)
    shares = torch.bincount(chosen, minlength=4) / 20_000
    torch.testing.assert_close(shares, expected, atol=0.012, rtol=0)
    assert shares[2] == 0
    torch.testing.assert_close(logprobs, expected.log()[chosen])


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_extremes_of_the_uniform_hit_possible_tokens(uniform: float) -> None:
    logits = torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]])
    chosen, _ = choose(logits, params(), torch.tensor([uniform], dtype=torch.float64))
    assert chosen.item() == (1 if uniform == 0 else 2)


def test_streams_are_the_samples_own() -> None:
    seeds = [stream_seed(seed, place, sample) for seed in range(3) for place in range(3) for sample in range(3)]
    assert len(set(seeds)) == 27
    both = uniforms(seeds[:2], 5)
    assert torch.equal(both[1], uniforms(seeds[1:2], 5)[0])
    assert torch.equal(both[:, :3], uniforms(seeds[:2], 3)), "a longer stream begins with the shorter"


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"top_k": 1}, [0]),
        ({"top_k": 3}, [0, 1, 2]),
        ({"top_k": 99}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.3}, [0]),
        ({"top_p": 0.41}, [0, 1]),
        ({"top_p": 0.72}, [0, 1, 2]),
        ({"min_p": 0.25}, [0, 1, 2, 3]),
        ({"min_p": 0.74}, [0, 1]),
        ({"min_p": 1.0}, [0]),
        ({"top_k": 4, "top_p": 0.99}, [0, 1, 2, 3]),
        ({"top_k": 2, "top_p": 0.6}, [0, 1]),
    ],
)
def test_what_is_drawn_is_what_is_left(changes: dict[str, float], kept: list[int]) -> None:
    shares = torch.tensor([0.4, 0.31, 0.14, 0.105, 0.045])
    order = torch.tensor([3, 0, 4, 1, 2])  # where the likeliest, and so on, stands
    logits = torch.empty(5).scatter(0, order, shares.log()).expand(2_000, 5)
    uniform = torch.rand(2_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen, logprobs = choose(logits, params(**changes), uniform)
    assert sorted(chosen.unique().tolist()) == sorted(order[kept].tolist())
    expected = torch.zeros(5).scatter(0, order[kept], shares[kept] / shares[kept].sum())
    torch.testing.assert_close(logprobs, expected.log()[chosen], atol=1e-6, rtol=1e-6)
    assert params(**changes).truncated


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -0.1}, {"temperature": float("nan")}, {"max_tokens": 0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5},
     {"min_p": 2.0}, {"min_tokens": -1}, {"stop": ("a", "")}, {"stop": "ab"}],
)  # fmt: skip
def test_parameters_out_of_range_are_named(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}=.* is out of range"):
        SamplingParams(**wrong)


def test_an_end_beyond_the_vocabulary_is_none_to_forbid() -> None:
    kept = forbid_end(torch.zeros(2, 4), torch.tensor([1, 9]), torch.tensor([True, False]))
    assert kept.isinf().tolist() == [[False, True, False, False], [False] * 4]


def test_truncation_is_that_of_transformers() -> None:
    logits = torch.randn(50, 200, generator=torch.Generator().manual_seed(0)) * 3
    for ours, theirs in (
        ({"top_k": 7}, [TopKLogitsWarper(7)]),
        ({"top_p": 0.8}, [TopPLogitsWarper(0.8)]),
        ({"min_p": 0.1}, [MinPLogitsWarper(0.1)]),
        ({"top_k": 20, "top_p": 0.7, "min_p": 0.05}, [TopKLogitsWarper(20), TopPLogitsWarper(0.7), MinPLogitsWarper(0.05)]),
    ):
        expected = logits
        for warper in theirs:
            expected = warper(None, expected)
        assert torch.equal(truncate(logits, params(**ours)).isinf(), expected.isinf()), ours
    assert not params().truncated
    assert truncate(logits, params()) is logits
