"""Online self-training: its loss by hand, what it selects, and that the demonstrations of a step's problems are part of it."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer

from reft.algorithms import Outputs
from reft.algorithms.online_st import OnlineST
from reft.batch import collate
from reft.config import TrainConfig
from reft.errors import ConfigError
from reft.tasks import Demonstration
from reft.train import Stream, draw
from reft.warmup import as_samples
from rewards.equal import Verdict
from rollout.codec import Codec
from rollout.types import Problem, Sample, SamplingParams
from tests.reft.test_batch import sample
from tests.test_readme import glossary


def chain(length: int, demonstrated: bool) -> Sample:
    return replace(sample([5, 6], list(range(7, 7 + length))), demonstrated=demonstrated)


def loss_of(samples: list[Sample], logprobs: torch.Tensor) -> torch.Tensor:
    algorithm, batch = OnlineST(), collate(samples, pad=0)
    experience, _ = algorithm.credit(batch, policy=None)  # type: ignore[arg-type]
    outputs = Outputs(logprobs, torch.zeros_like(logprobs), torch.zeros_like(logprobs), torch.zeros(len(samples)))
    return algorithm.loss(outputs, experience).total / experience.counts.sum()


def test_the_loss_is_half_and_half_whatever_the_lengths() -> None:
    logprobs = torch.tensor([[0.0, -1, -2, 0, 0], [0.0, -3, -4, -5, -6], [0.0, -7, 0, 0, 0]], requires_grad=True)
    samples = [chain(2, False), chain(4, True), chain(1, True)]
    loss = loss_of(samples, logprobs)
    assert float(loss.detach()) == pytest.approx(0.5 * (1 + 2) / 2 + 0.5 * (3 + 4 + 5 + 6 + 7) / 5)
    loss.backward()
    sampled, shown = -0.5 / 2, -0.5 / 5
    expected = [[0, sampled, sampled, 0, 0], [0, shown, shown, shown, shown], [0, shown, 0, 0, 0]]
    torch.testing.assert_close(logprobs.grad, torch.tensor(expected))


def test_the_share_of_demonstrations_is_told() -> None:
    _, metrics = OnlineST().credit(collate([chain(1, False), chain(3, True)], pad=0), policy=None)  # type: ignore[arg-type]
    assert metrics == {"imitation/demonstrated": 0.75}
    assert metrics.keys() <= glossary()


@pytest.mark.parametrize("kind", [True, False])
def test_without_one_kind_its_half_is_missing(kind: bool) -> None:
    """As in ReFT's code, which halves the demonstrations' loss where no sample is right."""
    loss = loss_of([chain(2, kind)], torch.tensor([[0.0, -1, -2]]))
    assert float(loss) == pytest.approx(0.5 * 1.5)


def test_right_chains_alone_are_imitated() -> None:
    samples = [
        replace(chain(1, False), verdict=Verdict(outcome, "text", "")) for outcome in ("equal", "different", "undecided")
    ]
    cut = replace(samples[0], completion=replace(samples[0].completion, finish="length"))
    unpaid = replace(samples[0], reward=None)
    assert OnlineST().select([*samples, cut, unpaid]) == samples[:1]
    with pytest.raises(ConfigError, match=r"algorithm\.epochs=0"):
        OnlineST(epochs=0).validate()


class FixedPool:
    """Samples one right and one wrong chain, in turn."""

    def sample(self, problems, n, params, seed):  # type: ignore[no-untyped-def]
        outcomes = ["equal", "different"]
        return [
            replace(chain(1, False), problem=problem, verdict=Verdict(outcomes[at % 2], "text", ""))  # type: ignore[arg-type]
            for at, problem in enumerate(problems)
        ]


def test_demonstrations_of_all_problems_that_were_asked_join_the_batch(tiny_model) -> None:
    problems = [Problem(str(n), "a 1 b 2 c 3 > 6 ?", "6") for n in range(4)]
    shown = as_samples(
        [Demonstration(problem, words) for problem in problems[:3] for words in ("+ a 1", "- b 9")],
        Codec(AutoTokenizer.from_pretrained(tiny_model)),
        longest=80,
    )
    assert [sample.completion.text for sample in shown.values()] == ["+ a 1"] * 3, "the first of each"
    assert not as_samples([Demonstration(problems[0], "+ a 1")], Codec(AutoTokenizer.from_pretrained(tiny_model)), longest=12)
    settings = TrainConfig(prompts=4)
    stream = Stream(problems, 4, seed=0, demonstrations=shown)
    samples, kept = draw(stream, OnlineST(), FixedPool(), SamplingParams(), settings, 0, step=0)  # type: ignore[arg-type]
    assert len(samples) == 4
    assert [sample.demonstrated for sample in kept] == [False] * 2 + [True] * 3
    batch = collate(kept, pad=0)
    assert batch.demonstrated.tolist() == [False] * 2 + [True] * 3
    assert batch.action_mask[4].sum() == 4, "the demonstration's chain and its end, not its prompt"
