"""Operations by hand, and beside those that torch counts."""

from dataclasses import replace

import numpy
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from reft.flops import Cost
from rollout.types import Completion
from rollout.work import Work, work_of_chain, work_of_going_on, work_of_sampling, work_of_text

SIZES = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
CONFIGS = {
    "llama": LlamaConfig(**SIZES, num_key_value_heads=4),
    "llama, shared keys": LlamaConfig(**SIZES, num_key_value_heads=2),
    "llama, tied": LlamaConfig(**SIZES, num_key_value_heads=4, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**SIZES, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=16),
    "gpt2": GPT2Config(vocab_size=50, n_embd=32, n_layer=3, n_head=4, n_positions=64),
}


def make(config: PreTrainedConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager")


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_pass_is_what_torch_counts(config: PreTrainedConfig) -> None:
    """Torch counts all pairs of tokens, also the half that is masked."""
    model, cost, length = make(config), Cost.of(config), 11
    with FlopCounterMode(display=False) as counter:
        loss = model(torch.arange(length)[None]).logits.sum()
    assert cost.forward(Work(length, length**2)) == counter.get_total_flops()
    assert cost.forward(work_of_text(length)) == cost.forward(Work(length, length * (length + 1) / 2))
    with FlopCounterMode(display=False) as back:
        loss.backward()
    assert counter.get_total_flops() + back.get_total_flops() == cost.learn(Work(length, length**2))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_chain_with_a_cache_is_what_torch_counts(config: PreTrainedConfig) -> None:
    model, cost, prompt = make(config).eval(), Cost.of(config), 7
    with torch.inference_mode():
        cache = model(torch.arange(prompt)[None], use_cache=True).past_key_values
        with FlopCounterMode(display=False) as counter:
            for token in range(4):  # five are drawn, and four put in
                cache = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True).past_key_values
    assert cost.forward(work_of_chain(prompt, 5)) == counter.get_total_flops()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_classifier_is_what_torch_counts(config: PreTrainedConfig) -> None:
    model, length = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval(), 11
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.arange(length)[None])
    cost = Cost.of(config, AutoModelForSequenceClassification)
    assert cost.forward(Work(length, length**2)) == counter.get_total_flops()
    assert cost.token < Cost.of(config).token


def test_a_chain_is_part_of_its_text() -> None:
    assert work_of_text(7) + work_of_chain(7, 5) == work_of_text(11) == Work(11, 66)
    cost = Cost(token=10, pair=2)
    assert cost.query(7, 5) == 10 * 11 + 2 * 66
    assert cost.query(7, 5, 3) == 10 * (7 + 3 * 4) + 2 * (28 + 3 * 38), "a prompt is computed once"
    assert cost.learn(Work(3, 4)) == 3 * (30 + 8)


def test_what_is_taken_out_of_a_chain_is_computed_anew() -> None:
    def part(prompt: list[int], tokens: list[int], discarded: int = 0) -> Completion:
        logprobs = numpy.zeros(len(tokens), numpy.float32)
        return Completion(
            numpy.array(prompt, numpy.int32), numpy.array(tokens, numpy.int32), logprobs, "", "stop", discarded=discarded
        )

    first = part([1, 2, 3], [4, 5, 9])
    assert work_of_going_on([first]) == work_of_text(5)
    on = part([1, 2, 3, 4, 5, 9], [6, 7])
    assert work_of_going_on([first, on]) == work_of_text(7), "each place once"
    other = part([1, 2, 3, 4, 8, 8], [6, 7])
    assert work_of_going_on([first, other]) == work_of_text(5) + work_of_text(3, 4), "what stands where 5 and 9 have been"
    assert work_of_going_on([part([1, 2, 3], [4, 5], 2), part([1, 2, 3, 4, 5], [6])]) == (
        work_of_text(6) + work_of_text(1, 4)
    ), "behind what is kept, 5 was drawn and two more"


def test_equal_prompts_are_computed_once() -> None:
    def completion(prompt: list[int], tokens: int) -> Completion:
        drawn = numpy.zeros(tokens)
        return Completion(numpy.array(prompt, numpy.int32), drawn.astype(numpy.int32), drawn.astype(numpy.float32), "", "stop")

    group = [completion([1, 2, 3], 1), completion([1, 2, 3], 3)]
    assert work_of_sampling(group) == Work(3 + 2, 6 + (4 + 5))
    assert work_of_sampling([*group, completion([1, 2], 1)]) == Work(5 + 2, 15 + 3)
    assert work_of_sampling([replace(group[0], discarded=2)]) == work_of_sampling(group[1:]), "what is discarded was drawn"
