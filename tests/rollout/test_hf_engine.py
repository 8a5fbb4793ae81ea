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
from rollout.engine import WeightsError, checksum, untied
from rollout.engines.hf import HFEngine, HFEngineFactory
from rollout.types import SamplingParams
from tests.devices import DEVICES
from tests.rollout.engine_contract import CONTEXT, PROMPTS, WORDS, EngineContract

# Short convolutions see as far back as four words, a window as far as five: padding in front of a prompt must be nothing to
# them.
MODELS = {
    "gpt2": ("gpt2", {}),
    "llama": ("llama", {}),
    "llama with shared heads": ("llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"num_key_value_heads": 1, "head_dim": 12}),
    "nemotron": ("nemotron", {"num_key_value_heads": 1, "intermediate_size": 32}),
    "mistral": ("mistral", {"sliding_window": 6}),
    "lfm2": (
        "lfm2",
        {
            "layer_types": ["conv", "full_attention"], "conv_L_cache": 5, "intermediate_size": 32,
            "block_auto_adjust_ff_dim": False,
        },
    ),
}  # fmt: skip
WAITING = {"mistral", "lfm2"}
"""Models whose rows wait for the longest of theirs."""


@pytest.fixture(scope="module", params=MODELS)
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / request.param
    architecture, extra = MODELS[request.param]
    shape = ModelConfig(architecture=architecture, layers=2, width=16, heads=2, context=CONTEXT, extra=extra)
    make_fresh(shape, word_tokenizer(WORDS, CONTEXT), 1, path)
    return path


@pytest.fixture(params=DEVICES)
def engine(folder, request) -> HFEngine:
    return HFEngineFactory(str(folder), device=request.param)()


class TestHFEngine(EngineContract):
    pass


def test_rows_come_and_go_where_they_can(folder, engine) -> None:
    assert engine.continuous == (folder.name not in WAITING)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("temperature", [0.7, 1.3])
def test_logprobs_of_bfloat16_are_float32_and_the_learner_s(folder, temperature: float, device: str) -> None:
    """Half-precision logits may differ in their last bit; what is made of them is not rounded."""
    engine = HFEngineFactory(str(folder), "bfloat16", device)()
    policy = PolicyModel(str(folder), torch.bfloat16, "shared", "zero", temperature).eval().to(device)
    gaps: list[torch.Tensor] = []
    for completion in chain.from_iterable(engine.generate(PROMPTS, 16, SamplingParams(temperature, 12), seed=5)):
        tokens = numpy.concatenate([completion.prompt_tokens, completion.tokens])
        row = torch.tensor(tokens, dtype=torch.long, device=device)
        logprobs, *_ = policy(row[None], torch.tensor([len(tokens)], device=device))
        sampled = torch.tensor(completion.logprobs)
        assert sampled.dtype == torch.float32
        assert (sampled != sampled.bfloat16()).any()
        gaps.append((logprobs[0, len(completion.prompt_tokens) - 1 :].cpu() - sampled).abs())
    assert len(torch.cat(gaps)) > 200
    assert torch.cat(gaps).mean() < 0.005
    assert torch.cat(gaps).max() < 0.05


def test_a_prefix_reaches_no_position_that_the_model_has_not(folder, engine, monkeypatch) -> None:
    """Prompt and longest chain fill the context; a long prefix stands beside a row that is sampled from its beginning."""
    engine.codec.stops = (0,)
    seen: list[int] = []
    forward = engine.model.forward

    def watch(**inputs: torch.Tensor) -> object:
        seen.append(int(inputs["position_ids"].max()))
        return forward(**inputs)

    monkeypatch.setattr(engine.model, "forward", watch)
    prompt, longest = "d e f g h ?", 64 - 6
    chains = engine.generate([prompt] * 2, 1, SamplingParams(1.0, longest), seed=0, prefixes=[" ".join("ab" * 28), ""])
    policy = PolicyModel(str(folder), torch.float32, "shared", "zero", 1.0).eval()
    for (completion,) in chains:
        tokens = torch.tensor(numpy.concatenate([completion.prompt_tokens, completion.tokens]), dtype=torch.long)
        assert len(tokens) <= 64
        logprobs, *_ = policy(tokens[None], torch.tensor([len(tokens)]))
        known = logprobs[0, len(completion.prompt_tokens) - 1 :]
        torch.testing.assert_close(known, torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)
    assert max(seen) < 64


def test_a_chain_does_not_depend_on_its_neighbours(engine) -> None:
    together = engine.generate(PROMPTS, 2, SamplingParams(1.0, 12), seed=3)
    for rows in (1, 2, 4, 5):
        engine.max_rows = rows
        alone = engine.generate(PROMPTS, 2, SamplingParams(1.0, 12), seed=3)
        for left, right in zip(chain.from_iterable(together), chain.from_iterable(alone), strict=True):
            assert left.tokens.tolist() == right.tokens.tolist()
            assert left.finish == right.finish
            numpy.testing.assert_allclose(left.logprobs, right.logprobs, atol=1e-5)


def test_weights_arrive_and_are_checked(folder, engine) -> None:
    other = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    weights = untied(other.state_dict())
    assert (
        engine.load_weights(weights)
        == checksum(weights)
        != checksum(untied(AutoModelForCausalLM.from_pretrained(folder).state_dict()))
    )
    for name, tensor in untied(engine.model.state_dict()).items():
        assert torch.equal(tensor.cpu(), weights[name]), name
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
