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
from rollout.engines.hf import HFEngine, HFEngineFactory
from rollout.types import SamplingParams

WORDS = [*"abcdefgh", "?"]
PROMPTS = ["a b ?", "c ?", "d e f g h ?"]


# Short convolutions see as far back as four words, a window as far as five: padding in front of a prompt must be nothing to
# them.
MODELS = {
    "gpt2": ("gpt2", {}),
    "llama": ("llama", {}),
    "llama with shared heads": ("llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"num_key_value_heads": 1, "head_dim": 12}),
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
    shape = ModelConfig(architecture=architecture, layers=2, width=16, heads=2, context=64, extra=extra)
    make_fresh(shape, word_tokenizer(WORDS, 64), 1, path)
    return path


@pytest.fixture
def engine(folder) -> HFEngine:
    return HFEngineFactory(str(folder))()


def test_is_an_engine(folder, engine) -> None:
    assert isinstance(engine, Engine)
    assert engine.continuous == (folder.name not in WAITING)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_logprobs_are_the_learner_s(folder, engine, temperature: float) -> None:
    policy = PolicyModel(str(folder), torch.float32, "shared", "zero", temperature).eval()
    groups = engine.generate(PROMPTS, 3, SamplingParams(temperature, 12), seed=5)
    for completion in (completion for group in groups for completion in group):
        tokens = numpy.concatenate([completion.prompt_tokens, completion.tokens])
        policy_logprobs, *_ = policy(torch.tensor(tokens, dtype=torch.long)[None], torch.tensor([len(tokens)]))
        start = len(completion.prompt_tokens) - 1
        torch.testing.assert_close(policy_logprobs[0, start:], torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.7, 1.3])
def test_logprobs_of_bfloat16_are_float32_and_the_learner_s(folder, temperature: float) -> None:
    """Half-precision logits may differ in their last bit; what is made of them is not rounded."""
    engine = HFEngineFactory(str(folder), "bfloat16")()
    policy = PolicyModel(str(folder), torch.bfloat16, "shared", "zero", temperature).eval()
    gaps: list[torch.Tensor] = []
    for completion in chain.from_iterable(engine.generate(PROMPTS, 16, SamplingParams(temperature, 12), seed=5)):
        tokens = numpy.concatenate([completion.prompt_tokens, completion.tokens])
        logprobs, *_ = policy(torch.tensor(tokens, dtype=torch.long)[None], torch.tensor([len(tokens)]))
        sampled = torch.tensor(completion.logprobs)
        assert sampled.dtype == torch.float32
        assert (sampled != sampled.bfloat16()).any()
        gaps.append((logprobs[0, len(completion.prompt_tokens) - 1 :] - sampled).abs())
    assert len(torch.cat(gaps)) > 200
    assert torch.cat(gaps).mean() < 0.005
    assert torch.cat(gaps).max() < 0.05


PREFIXES = ["c d e f g h a b", "", "b"]


def test_logprobs_behind_a_prefix_are_the_learner_s(folder, engine) -> None:
    """Rows with and without a prefix side by side, against one forward pass over each row."""
    policy = PolicyModel(str(folder), torch.float32, "shared", "zero", 1.0).eval()
    groups = engine.generate(PROMPTS, 3, SamplingParams(1.0, 14), seed=5, prefixes=PREFIXES)
    for prompt, prefix, group in zip(PROMPTS, PREFIXES, groups, strict=True):
        for completion in group:
            assert completion.prompt_tokens.tolist() == engine.codec.prompts([f"{prompt} {prefix}"])[0].tolist()
            assert completion.prefix_length == len(prefix.split())
            assert completion.prefix == engine.codec.text(engine.codec.prefixes([prefix])[0])
            assert completion.chain == engine.codec.text(completion.chain_tokens)
            assert completion.chain.startswith(completion.prefix)
            tokens = numpy.concatenate([completion.prompt_tokens, completion.tokens])
            logprobs, *_ = policy(torch.tensor(tokens, dtype=torch.long)[None], torch.tensor([len(tokens)]))
            start = len(completion.prompt_tokens) - 1
            torch.testing.assert_close(logprobs[0, start:], torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)


def test_a_prefix_is_the_end_of_a_prompt(engine) -> None:
    """The same chains as from prompts that end in the prefixes, each as long as the chain as a whole may be."""
    given = engine.generate(PROMPTS, 3, SamplingParams(1.0, 14), seed=3, prefixes=PREFIXES)
    joined = [f"{prompt} {prefix}" for prompt, prefix in zip(PROMPTS, PREFIXES, strict=True)]
    plain = engine.generate(joined, 3, SamplingParams(1.0, 14), seed=3)
    for prefix, group, other in zip(PREFIXES, given, plain, strict=True):
        budget = 14 - len(prefix.split())
        for left, right in zip(group, other, strict=True):
            assert left.tokens.tolist() == right.tokens[:budget].tolist()
            numpy.testing.assert_allclose(left.logprobs, right.logprobs[:budget], atol=1e-5)


def test_a_chain_with_a_prefix_is_cut_at_its_longest_as_a_whole(engine) -> None:
    """Also where padding looks like an end token and neighbours go on."""
    engine.codec.pad = engine.codec.end
    groups = engine.generate(["a ?", "a ?"], 32, SamplingParams(1.0, 9), seed=0, prefixes=["b c d e f", ""])
    finishes = set()
    for budget, group in zip((4, 9), groups, strict=True):
        for completion in group:
            ended = completion.tokens[-1] == engine.codec.end
            assert completion.finish == ("stop" if ended else "length")
            assert engine.codec.end not in completion.tokens[:-1]
            assert len(completion.tokens) == len(completion.logprobs) <= budget
            assert ended or len(completion.tokens) == budget
            finishes.add((budget, completion.finish))
    assert (4, "length") in finishes
    with pytest.raises(ValueError, match="nothing is left to be sampled"):
        engine.generate(["a ?"], 1, SamplingParams(1.0, 5), seed=0, prefixes=["b c d e f"])


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


def test_a_text_ends_a_chain_and_is_its_last(engine) -> None:
    """The chains are those without it, cut where it first stands."""
    free = engine.generate(PROMPTS, 16, SamplingParams(1.0, 40), seed=5)
    cut = engine.generate(PROMPTS, 16, SamplingParams(1.0, 40, stop=("h", "?")), seed=5)
    ends = engine.codec.chains(["h ?"])[0][:2].tolist()
    finishes = set()
    for before, after in zip(chain.from_iterable(free), chain.from_iterable(cut), strict=True):
        length = next((at + 1 for at, token in enumerate(before.tokens) if token in ends), len(before.tokens))
        assert after.tokens.tolist() == before.tokens[:length].tolist()
        assert len(after.logprobs) == length
        numpy.testing.assert_allclose(after.logprobs, before.logprobs[:length], atol=1e-5)
        ended = after.tokens[-1] in (*ends, engine.codec.end)
        assert after.finish == ("stop" if ended else "length")
        assert after.text == engine.codec.text(after.tokens)
        finishes.add(int(after.tokens[-1]) if ended else None)
    assert {*ends, engine.codec.end} <= finishes
