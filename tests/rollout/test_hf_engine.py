"""The embedded engine samples from the model's own distribution, whatever stands beside a row in the batch."""

import math
from itertools import chain

import numpy
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from reft.config import ModelConfig
from reft.model import PolicyModel, make_fresh
from reft.tokenizer import word_tokenizer
from rollout.engine import Engine, WeightsError, checksum, untied
from rollout.engines.hf import HFEngine, HFEngineFactory, _choose
from rollout.types import SamplingParams

WORDS = [*"abcdefgh", "?"]
PROMPTS = ["a b ?", "c ?", "d e f g h ?"]


@pytest.fixture(scope="module", params=["gpt2", "llama", "qwen2", "qwen3"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "model"
    make_fresh(
        ModelConfig(architecture=request.param, layers=2, width=16, heads=2, context=64), word_tokenizer(WORDS, 64), 1, path
    )
    return path


@pytest.fixture
def engine(folder) -> HFEngine:
    return HFEngineFactory(str(folder))()


def test_is_an_engine(engine) -> None:
    assert isinstance(engine, Engine)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_logprobs_are_the_learner_s(folder, engine, temperature: float) -> None:
    policy = PolicyModel(str(folder), torch.float32, "shared", "zero", temperature).eval()
    groups = engine.generate(PROMPTS, 3, SamplingParams(temperature, 12), seed=5)
    for completion in (completion for group in groups for completion in group):
        tokens = numpy.concatenate([completion.prompt_tokens, completion.tokens])
        policy_logprobs, *_ = policy(torch.tensor(tokens, dtype=torch.long)[None], torch.tensor([len(tokens)]))
        start = len(completion.prompt_tokens) - 1
        torch.testing.assert_close(policy_logprobs[0, start:], torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)


def test_a_chain_does_not_depend_on_its_neighbours(engine) -> None:
    together = engine.generate(PROMPTS, 2, SamplingParams(1.0, 12), seed=3)
    engine.max_rows = 1
    alone = engine.generate(PROMPTS, 2, SamplingParams(1.0, 12), seed=3)
    for left, right in zip(chain.from_iterable(together), chain.from_iterable(alone), strict=True):
        assert left.tokens.tolist() == right.tokens.tolist()
        numpy.testing.assert_allclose(left.logprobs, right.logprobs, atol=1e-5)


def test_seeds_decide(engine) -> None:
    def draw(seed: int) -> list[list[int]]:
        groups = engine.generate(PROMPTS, 4, SamplingParams(1.0, 12), seed)
        return [completion.tokens.tolist() for group in groups for completion in group]

    assert draw(1) == draw(1) != draw(2)
    assert len({tuple(tokens) for tokens in draw(1)}) > 6, "samples of one prompt have streams of their own"


def test_greedy_takes_the_most_likely(engine) -> None:
    ((completion,),) = engine.generate(["a b ?"], 1, SamplingParams(0.0, 5), seed=0)
    ids = torch.tensor(completion.prompt_tokens, dtype=torch.long)[None]
    with torch.no_grad():
        for token in completion.tokens:
            assert int(engine.model(ids).logits[0, -1].argmax()) == token
            ids = torch.cat([ids, torch.tensor([[int(token)]])], 1)


def test_a_chain_ends_with_the_end_token_or_at_its_longest(engine) -> None:
    for completion in engine.generate(["a ?"], 64, SamplingParams(1.0, 6), seed=0)[0]:
        ended = completion.tokens[-1] == engine.codec.end
        assert completion.finish == ("stop" if ended else "length")
        assert engine.codec.end not in completion.tokens[:-1]
        assert len(completion.tokens) == len(completion.logprobs) <= 6
        assert ended or len(completion.tokens) == 6


def test_weights_arrive_and_are_checked(folder, engine) -> None:
    other = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    weights = untied(other.state_dict())
    assert (
        engine.load_weights(weights)
        == checksum(weights)
        != checksum(untied(AutoModelForCausalLM.from_pretrained(folder).state_dict()))
    )
    for name, tensor in untied(engine.model.state_dict()).items():
        assert torch.equal(tensor, weights[name]), name
    name = next(iter(weights))
    with pytest.raises(WeightsError, match=name):
        engine.load_weights({key: value for key, value in weights.items() if key != name})


def test_checksum_sees_a_bit() -> None:
    weights = {"a": torch.zeros(3), "b": torch.ones(2, 2)}
    before = checksum(weights)
    weights["b"][1, 1] = math.nextafter(1.0, 2.0)
    assert checksum(weights) == before, "below float32's resolution nothing changes"
    weights["b"][1, 1] = 1 + 2**-23
    assert checksum(weights) != before
    assert checksum({"a": torch.zeros(4)}) != checksum({"a": torch.zeros(2, 2)})


def test_sampling_follows_the_distribution() -> None:
    logits = torch.tensor([0.5, 0.0, -math.inf, 1.0]).expand(20_000, 4)
    uniforms = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen, logprobs = _choose(logits, 0.5, uniforms)
    expected = torch.softmax(torch.tensor([1.0, 0.0, -math.inf, 2.0]), 0)
    shares = torch.bincount(chosen, minlength=4) / 20_000
    torch.testing.assert_close(shares, expected, atol=0.012, rtol=0)
    assert shares[2] == 0
    torch.testing.assert_close(logprobs, expected.log()[chosen])


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_extremes_of_the_uniform_hit_possible_tokens(uniform: float) -> None:
    chosen, _ = _choose(torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]]), 1.0, torch.tensor([uniform], dtype=torch.float64))
    assert chosen.item() == (1 if uniform == 0 else 2)
