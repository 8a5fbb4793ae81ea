"""Weights are found where a model of vLLM's keeps them: joined, shared by processes, padded, repacked, transposed, tied."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from rollout.engines.readback import find_faults, find_strangers

RANKS = 2
HEADS, SHARED, SIZE, WIDTH, VOCABULARY, PADDED = 4, 1, 3, 6, 9, 16
"""Four heads of queries are two a process, the one of keys is on both."""


@dataclass
class Indices:
    org_vocab_start_index: int
    num_org_elements: int


class Layer(nn.Module):
    """A weight as vLLM keeps it."""

    def __init__(
        self, weight: torch.Tensor, sizes: list[int], bias: torch.Tensor | None = None, repacked: bool = False
    ) -> None:
        super().__init__()
        self.output_partition_sizes = sizes
        self.input_size_per_partition = weight.shape[1]
        self.weight = nn.Parameter(torch.empty(0) if repacked else weight.clone(), requires_grad=False)
        if bias is not None:
            self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        if repacked:
            packed = weight.clone()
            self.cpu_linear = lambda inputs, _, bias: nn.functional.linear(inputs, packed, bias)


class Embedding(nn.Module):
    def __init__(self, weight: nn.Parameter, rank: int) -> None:
        super().__init__()
        first = rank * PADDED // RANKS
        self.shard_indices = Indices(first, max(min(VOCABULARY - first, PADDED // RANKS), 0))
        self.weight = weight


class Model(nn.Module):
    packed_modules_mapping = {"qkv_proj": ["q_proj", "k_proj"], "c_attn": ["c_attn"]}  # noqa: RUF012  # as vLLM has it

    def __init__(self, weights: dict[str, torch.Tensor], rank: int, repacked: bool) -> None:
        super().__init__()
        queries = weights["q_proj.weight"].chunk(RANKS)[rank]
        bias = torch.cat([weights["q_proj.bias"].chunk(RANKS)[rank], weights["k_proj.bias"]])
        sizes = [len(queries), SHARED * SIZE]
        self.qkv_proj = Layer(torch.cat([queries, weights["k_proj.weight"]]), sizes, bias, repacked)
        self.o_proj = Layer(weights["o_proj.weight"].chunk(RANKS, 1)[rank], [WIDTH], repacked=repacked)
        self.c_attn = Layer(weights["c_attn.weight"].T, [2, 2, 1])
        self.norm = nn.LayerNorm(WIDTH)
        self.norm.load_state_dict({"weight": weights["norm.weight"], "bias": weights["norm.bias"]})
        rows = torch.zeros(PADDED, WIDTH)
        rows[:VOCABULARY] = weights["embed.weight"]
        table = nn.Parameter(rows.chunk(RANKS)[rank].clone(), requires_grad=False)
        self.embed = Embedding(table, rank)
        self.head = Embedding(table, rank)  # tied, and packed once more
        packed = table.detach().clone()
        self.head.cpu_linear = lambda inputs, _, bias: nn.functional.linear(inputs, packed, bias)


def make_weights() -> dict[str, torch.Tensor]:
    shapes = {
        "q_proj.weight": (HEADS * SIZE, WIDTH), "q_proj.bias": (HEADS * SIZE,), "k_proj.weight": (SHARED * SIZE, WIDTH),
        "k_proj.bias": (SHARED * SIZE,), "o_proj.weight": (WIDTH, HEADS * SIZE), "c_attn.weight": (WIDTH, 5),
        "norm.weight": (WIDTH,), "norm.bias": (WIDTH,), "embed.weight": (VOCABULARY, WIDTH),
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("repacked", [False, True])
@pytest.mark.parametrize("rank", range(RANKS))
def test_what_was_sent_is_found(rank: int, repacked: bool) -> None:
    weights = make_weights()
    model = Model(weights, rank, repacked)
    assert find_strangers(model, weights) == find_faults(model, weights, rank, RANKS) == []


@pytest.mark.parametrize("repacked", [False, True])
@pytest.mark.parametrize("name", make_weights())
def test_any_bit_that_differs_is_told(name: str, repacked: bool) -> None:
    """One number of each weight, in the share of one process or of both."""
    weights = make_weights()
    models = [Model(weights, rank, repacked) for rank in range(RANKS)]
    flat = weights[name].view(-1)
    for place in (0, len(flat) - 1):
        kept = flat[place].clone()
        flat[place] = torch.nextafter(kept, torch.tensor(torch.inf))
        told = {rank: find_faults(model, weights, rank, RANKS) for rank, model in enumerate(models)}
        assert any(told.values())
        assert all(faults in ([], [name]) for faults in told.values())
        flat[place] = kept


def test_another_process_s_share_is_not_one_s_own() -> None:
    weights = make_weights()
    faults = find_faults(Model(weights, 1, False), weights, 0, RANKS)
    assert set(faults) >= {"q_proj.weight", "q_proj.bias", "o_proj.weight"}


def test_a_packed_copy_that_was_left_behind_is_told() -> None:
    """An output layer that is tied and has kept what it packed of the weights before."""
    weights = make_weights()
    model = Model(weights, 0, True)
    weights["embed.weight"] += 1
    model.embed.weight.data += 1
    assert find_faults(model, weights, 0, RANKS) == ["embed.weight"]


def test_names_on_one_side_only_are_told() -> None:
    weights = make_weights()
    model = Model(weights, 0, False)
    norm, keys = weights.pop("norm.bias"), weights.pop("k_proj.weight")
    assert find_strangers(model, weights) == ["k_proj.weight", "norm.bias"]
    assert find_strangers(model, {**weights, "norm.bias": norm, "k_proj.weight": keys, "odd": norm}) == ["odd"]
