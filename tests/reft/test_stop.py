"""Texts that end chains, as a config names them: such a chain is finished, and its last token is an action as any other."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reft import self_training
from reft.algorithms import Outputs, actor_critic
from reft.algorithms.dapo import DAPO
from reft.algorithms.ops import at_last_action
from reft.assessment import greedy_params, sampled_params
from reft.batch import collate
from reft.compose import compose_settings
from reft.config import Config
from reft.errors import ConfigError
from reft.evaluate import evaluate, report
from reft.prepare import check_stop
from reft.progress import Display
from reft.reranking import Reranking, join
from reft.rollouts import local_pool, sampling_params
from reft.selection import right_and_whole
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer
from reft.train import summarise, train
from rewards.equal import Verdict
from rollout.types import Problem, Sample, SamplingParams

STOP = ("ok", "x")
SETTINGS: dict[str, Any] = {
    "task": {"use": "signed_sum"},
    "sampling": {"max_tokens": 24, "stop": list(STOP)},
    "evaluate": {"temperature": 0.7},
    "rollout": {"threads": 1},
}
END = 1
"""The tokenizer's end token."""


@pytest.fixture
def config() -> Config:
    return compose_settings("small", SETTINGS).config


@pytest.fixture
def samples(config: Config, tiny_model: Path) -> list[Sample]:
    pool = local_pool(config, str(tiny_model))
    drawn = pool.sample(config.task.splits().test[:8], 8, sampling_params(config.sampling), seed=1)
    pool.close()
    return [replace(sample, reward=1.0, verdict=Verdict("equal", "number", "made up")) for sample in drawn]


def at_text(sample: Sample) -> bool:
    return sample.completion.text.endswith(STOP)


def test_a_chain_that_a_text_ended_is_finished(samples: list[Sample]) -> None:
    ends = {"text": 0, "token": 0, "cut": 0}
    for sample in samples:
        completion = sample.completion
        assert not any(text in completion.text[:-2] for text in STOP)
        end = "text" if at_text(sample) else "token" if completion.tokens[-1] == END else "cut"
        ends[end] += 1
        assert completion.finish == ("length" if end == "cut" else "stop")
        assert (END in completion.tokens) == (end == "token")
        assert right_and_whole(sample) == (end != "cut")
    assert min(ends.values()) > 5
    cut = ends["cut"] / len(samples)
    assert summarise(samples, samples, SignedSum())["chain/truncated"] == report(samples, SignedSum()).truncated == cut


def test_its_last_token_is_an_action_and_gets_the_reward(samples: list[Sample]) -> None:
    batch = collate(samples, pad=0)
    rewards = at_last_action(batch.rewards, batch.action_mask)
    for row, sample in enumerate(samples):
        prompt, chain = len(sample.completion.prompt_tokens), sample.completion.tokens
        last = prompt + len(chain) - 1
        assert batch.tokens[row, last] == chain[-1]
        assert batch.action_mask[row].nonzero().flatten().tolist() == list(range(prompt - 1, last))
        assert rewards[row].nonzero().flatten().tolist() == [last - 1]
        assert batch.sampler_logprobs[row, last - 1] == sample.completion.logprobs[-1]
    assert batch.finished.tolist() == [at_text(one) or one.completion.tokens[-1] == END for one in samples]


def test_nothing_is_expected_behind_it(samples: list[Sample]) -> None:
    batch = collate(samples, pad=0)
    finished = [sample for sample in samples if at_text(sample) or sample.completion.tokens[-1] == END]
    assert actor_critic.select(samples, "mask") == finished
    ones = torch.ones_like(batch.sampler_logprobs)
    outputs = Outputs(batch.sampler_logprobs, ones, ones, torch.ones(len(batch)))
    cut = [sample.completion.finish == "length" for sample in samples]
    assert actor_critic.bootstrap_values(batch, outputs, "bootstrap").tolist() == [float(one) for one in cut]
    policy: Any = SimpleNamespace(forward=lambda batch: outputs)
    experience, _ = DAPO().credit(batch, policy)
    assert (experience.weights.sum(1) == 0).tolist() == cut


def test_a_classifier_s_row_ends_with_the_end_token(samples: list[Sample]) -> None:
    rows = join(samples, END).rows()
    for sample, row in zip(samples, rows, strict=True):
        whole = [*sample.completion.prompt_tokens, *sample.completion.tokens]
        assert row.tolist() == [*whole[:-1], END]


class Asked(Exception):
    """The parameters that a pool was asked for."""


class Pool:
    """Says what it is asked for."""

    def sample(self, problems: Any, n: int, params: SamplingParams, *_: Any) -> Any:
        raise Asked(params)

    def publish(self, *_: Any, **__: Any) -> None: ...

    def drain_usage(self) -> dict[str, float]:
        return {}


def asked(work: Any) -> SamplingParams:
    with pytest.raises(Asked) as raised:
        work()
    params: SamplingParams = raised.value.args[0]
    return params


def test_chains_end_at_texts_wherever_they_are_drawn(config: Config, tiny_model: Path) -> None:
    pool: Any = Pool()
    problem = Problem("1", "a 1 b 1 c 1 > 1 ?", "")
    session: Any = SimpleNamespace(config=config, display=Display(), pool=lambda: pool)
    journal: Any = SimpleNamespace(steps=range, timed=lambda name: Display().bar("", 1, ""), attempt=lambda step, work: work())
    stream: Any = SimpleNamespace(batch=lambda *_: [problem])
    nothing: Any = None
    rerank = Reranking.__new__(Reranking)
    rerank.prepared = SimpleNamespace(config=config, splits=SimpleNamespace(train=[problem]))  # type: ignore[assignment]
    rerank.config, rerank.display, rerank.warmup, rerank.folder = config, Display(), tiny_model, Path("nowhere")
    drawn = {
        "train": lambda: train(stream, config.task, config.algorithm, nothing, pool, journal, config.train, config.sampling, 0),
        "self-training": lambda: self_training._draw(session, [problem], 1, "sample"),
        "rerank": lambda: rerank.sample(pool),
        "greedy": lambda: evaluate(pool, config.task, [problem], sampled_params(config), 1, 0),
    }
    for name, work in drawn.items():
        assert asked(work) == SamplingParams(0.0 if name == "greedy" else 1.0, 24, stop=STOP), name
    assert sampled_params(config) == SamplingParams(0.7, 24, stop=STOP)
    assert greedy_params(config) == SamplingParams(0.0, 24, stop=STOP)


@pytest.mark.parametrize("value", [["a", ""], [["a"]]])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.stop=\[.*is no text to look for; remove it"):
        compose_settings("small", SETTINGS | {"sampling": {"stop": value}})


def test_a_special_token_is_no_text() -> None:
    check_stop(["ok", "\n"], word_tokenizer(["ok"], 8))
    with pytest.raises(ConfigError, match=r"sampling\.stop='ok <end>' has the special token '<end>'.*eos_token_id"):
        check_stop(["ok <end>"], word_tokenizer(["ok"], 8))
