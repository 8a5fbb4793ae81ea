import numpy
import pytest
import torch

from reft.batch import collate, take, trim
from rewards.equal import NO_ANSWER
from rollout.types import Completion, Problem, Sample


def sample(prompt: list[int], chain: list[int], reward: float | None = 1.0, finish: str = "stop") -> Sample:
    completion = Completion(
        numpy.array(prompt, dtype=numpy.int32),
        numpy.array(chain, dtype=numpy.int32),
        -numpy.arange(1, len(chain) + 1, dtype=numpy.float32),
        "",
        finish,
    )
    return Sample(Problem("p", "", ""), completion, None, NO_ANSWER, {}, reward, 0)


def test_collate_by_hand() -> None:
    batch = collate([sample([5, 6, 7], [8, 1], 0.5), sample([5], [9, 9, 9], 0.1, "length")], pad=0)
    assert batch.tokens.tolist() == [[5, 6, 7, 8, 1], [5, 9, 9, 9, 0]]
    assert batch.lengths.tolist() == [5, 4]
    # State t takes the action that becomes token t+1: the chain of row 0 is acted in states 2 and 3.
    assert batch.action_mask.tolist() == [[False, False, True, True], [True, True, True, False]]
    assert batch.sampler_logprobs.tolist() == [[0, 0, -1, -2], [-1, -2, -3, 0]]
    assert batch.rewards.tolist() == pytest.approx([0.5, 0.1])
    assert batch.finished.tolist() == [True, False]


@pytest.mark.parametrize("pad", [0, 1, 8])
def test_masks_do_not_depend_on_the_padding_id(pad: int) -> None:
    """Also where the padding is the end token or one that was sampled."""
    samples = [sample([5, 1, 6], [8, 1]), sample([5], [8, 8, 1, 8, 1])]
    batch, other = collate(samples, pad), collate(samples, 99)
    assert torch.equal(batch.action_mask, other.action_mask)
    assert batch.action_mask.sum(1).tolist() == [2, 5]


def test_a_sample_without_reward_is_refused() -> None:
    with pytest.raises(ValueError, match="no reward"):
        collate([sample([1], [2], None)], 0)


def test_take_and_trim() -> None:
    batch = collate([sample([5, 6], [7, 1]), sample([5], [1]), sample([5, 6, 7], [8, 9, 1])], 0)
    part = trim(take(batch, torch.tensor([1, 0])), 4)
    assert part.tokens.tolist() == [[5, 1, 0, 0], [5, 6, 7, 1]]
    assert part.action_mask.shape == part.sampler_logprobs.shape == (2, 3)
    assert part.lengths.tolist() == [2, 4]
