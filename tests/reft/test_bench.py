"""What the benchmark of sampling counts and says; how fast anything is, is no test."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from reft.bench import (
    Arena,
    Timing,
    choose_size,
    compare_sampling,
    embedded,
    find_vllm,
    format_comparison,
    generate,
    measure_gap,
    vllm,
)
from reft.cli import main
from reft.machine import Machine, Work, count_work, measure_machine
from reft.workload import CheckpointWorkload, Workload
from rollout.engines.hf import HFEngine
from rollout.types import Completion

LOAD = Workload(layers=2, width=32, heads=4, prompts=3, samples=20, prompt_tokens=5, mean=8, longest=30, vocabulary=40)
FIXED = Workload(layers=2, width=32, heads=4, prompts=2, samples=2, prompt_tokens=5, mean=None, longest=9, vocabulary=40)


@pytest.fixture(scope="module", params=[{}, {"tie_word_embeddings": True, "num_key_value_heads": 2}], ids=["plain", "tied"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("model")
    LOAD.place_model(folder)
    config = json.loads((folder / "config.json").read_text()) | request.param
    (folder / "config.json").write_text(json.dumps(config))
    return AutoModelForCausalLM.from_pretrained(folder, ignore_mismatched_sizes=True)


def test_products_are_those_that_torch_counts(model) -> None:
    """A chain of four behind a prompt of five: eight tokens are put into the model."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.arange(8)[None])
    products = sum(flops for name, flops in counter.get_flop_counts()["Global"].items() if "mm" in str(name))
    assert count_work(model, [5], [[4]], rows=1).matrix_flops == products


def test_attention_and_bytes_by_hand(model) -> None:
    config = model.config
    work = count_work(model, [5], [[4, 2]], rows=2)
    seen = (6 + 7 + 8) + 6  # keys that the three and the one tokens see that are put in behind the prompt
    assert work.attention_flops == 4 * 2 * 32 * (seen + 15)
    assert work.cache_bytes == 2 * 4 * 2 * config.num_key_value_heads * 8 * seen
    weights = work.matrix_flops / (2 * (5 + 4))
    assert work.weight_bytes == pytest.approx(4 * weights * (1 + 4 / 2))


def test_the_least_is_what_is_slower_in_each_part() -> None:
    assert Work(10, 20, 4, 900).least_seconds(Machine(flops=10, bytes=100)) == 1 + 9
    assert Work(10, 20, 400, 9).least_seconds(Machine(flops=10, bytes=100)) == 4 + 2


def test_the_machine_does_something() -> None:
    machine = measure_machine()
    assert machine.flops > 1e8
    assert machine.bytes > 1e7


@pytest.mark.parametrize("make", [embedded, generate])
def test_contenders_sample_the_same_kind_of_chains(make, tmp_path: Path) -> None:
    LOAD.place_model(tmp_path / "model")
    lengths = [length for group in make(Arena(tmp_path / "model", LOAD), 16)(1).lengths for length in group]
    assert len(lengths) == 60
    assert max(lengths) <= 30
    assert 5 < sum(lengths) / 60 < 12, "geometric, mean 8"
    assert make(Arena(tmp_path / "model", FIXED), 3)(1).lengths == [[9, 9], [9, 9]]


@pytest.mark.parametrize("make", [embedded, generate])
def test_a_checkpoint_ends_its_chains_itself(make, tiny_model: Path) -> None:
    """Prompts of several lengths side by side; a fresh model takes each of its tokens about as often, the end token too."""
    load = CheckpointWorkload(str(tiny_model), ("a 5 b 3 > 4 ?", "a", "b 7 ?"), samples=40, longest=20)
    (lengths, *others) = make(Arena(load.place_model(tiny_model.parent), load), 48)(1).lengths
    assert [len(group) for group in (lengths, *others)] == [40, 40, 40]
    assert min(min(group) for group in (lengths, *others)) < 6
    assert max(max(group) for group in (lengths, *others)) <= 20
    assert load.describe() == f"3 prompts × 40 chains of {tiny_model}, 20 tokens at most"


def test_log_probs_are_held_against_a_forward_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arena = Arena(LOAD.place_model(tmp_path / "model"), LOAD)
    assert measure_gap(arena, 16)["max"] < 1e-5
    draw = HFEngine.generate

    def shift(self: HFEngine, *arguments: Any) -> list[list[Completion]]:
        return [[replace(chain, logprobs=chain.logprobs - 0.01) for chain in group] for group in draw(self, *arguments)]

    monkeypatch.setattr(HFEngine, "generate", shift)
    gap = measure_gap(arena, 16)
    assert gap["mean"] == pytest.approx(0.01, rel=1e-3)
    assert gap["max"] == pytest.approx(0.01, rel=1e-3)
    assert gap["tokens"] > 3


def test_where_vllm_cannot_take_part_is_told(tmp_path: Path) -> None:
    LOAD.place_model(tmp_path / "model")
    told = find_vllm(Arena(tmp_path / "model", LOAD))
    there = importlib.util.find_spec("vllm") is not None and not torch.cuda.is_available()
    assert told is not None
    assert ("heads of 8 are none of vLLM's" in told) == there


@pytest.mark.vllm
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_vllm_samples_the_same_kind_of_chains(tmp_path: Path) -> None:
    load = replace(LOAD, width=64, heads=2)
    load.place_model(tmp_path / "model")
    lengths = [length for group in vllm(Arena(tmp_path / "model", load), 16)(1).lengths for length in group]
    assert len(lengths) == 60
    assert max(lengths) <= 30
    assert 5 < sum(lengths) / 60 < 12, "geometric, mean 8"


def test_a_peer_has_its_best_size() -> None:
    rates = {32: 5.0, 64: 9.0, 128: 8.5, 256: 7.0, 512: 99.0}
    asked: list[int] = []

    def make(size: int):  # type: ignore[no-untyped-def]
        asked.append(size)
        return lambda seed: type("Timing", (), {"rate": rates[size]})()

    assert choose_size(make, 200, lambda line: None) == 64
    assert asked == [32, 64, 128], "no more chains than there are"
    assert choose_size(make, 512, lambda line: None) == 64
    assert asked[3:] == [32, 64, 128, 256], "and none beyond where it gets slower"
    assert choose_size(lambda size: lambda seed: type("Timing", (), {"rate": 1.0})(), 7, lambda line: None) == 7


def test_what_is_told_is_what_was_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = (
        "bench sampling --layers 1 --width 16 --heads 2 --prompts 2 --samples 4 --longest 12 --mean 6 --vocabulary 30 --runs 3"
    )
    threads = torch.get_num_threads()
    assert main([*words.split(), "--json", str(tmp_path / "bench.json")]) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["threads"] == threads
    assert content["embedded"]["least"] <= content["embedded"]["median"] <= content["embedded"]["most"]
    assert capsys.readouterr().out.strip() == format_comparison(content)
    assert f"{content['ratio']['median']:.2f} times" in format_comparison(content)
    assert content["ratio"]["least"] >= content["embedded"]["least"] / content["generate"]["most"]


@pytest.mark.parametrize("beside", [False, True])
def test_the_ratio_is_of_pairs(monkeypatch: pytest.MonkeyPatch, beside: bool) -> None:
    """A machine that is slow now and then befalls both, and vLLM where it is there."""
    slow = iter([1.0, 1.0, 1.0, 8.0, 8.0, 2.0, 2.0, 4.0, 4.0])  # seconds of: warming up, and three pairs

    def contender(arena: Arena, rows: int):  # type: ignore[no-untyped-def]
        return lambda seed: Timing([[9, 9], [9, 9]], next(slow))

    monkeypatch.setattr("reft.bench.embedded", contender)
    monkeypatch.setattr("reft.bench.generate", contender)
    third = iter([1.0, 16.0, 4.0, 8.0])  # warming up, and beside the three pairs
    monkeypatch.setattr("reft.bench.vllm", lambda *_: lambda seed: Timing([[9, 9], [9, 9]], next(third)))
    monkeypatch.setattr("reft.bench.find_vllm", lambda arena: None if beside else "it is not there")
    told: list[str] = []
    content = compare_sampling(FIXED, 4, 3, told.append)
    assert content["ratio"] == {"median": 1.0, "least": 1.0, "most": 1.0}
    assert content.get("ratio_to_vllm") == ({"median": 2.0, "least": 2.0, "most": 2.0} if beside else None)
    assert ("ratio to vLLM" in format_comparison(content)) == beside
    assert ("vllm is left out: it is not there" in told) != beside
    assert content["embedded"]["median"] == 36 / 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--rows 0", "--rows 0 is out of range"),
        ("--width 30 --heads 4", "--width 30 is no multiple of --heads 4"),
        ("--vocabulary 3", "--vocabulary 3 is out of range"),
        ("--prompt-tokens 0", "--prompt-tokens 0 is out of range"),
    ],
)
def test_wrong_words(capsys: pytest.CaptureFixture[str], words: str, told: str) -> None:
    assert main(["bench", "sampling", *words.split()]) == 2
    assert told in capsys.readouterr().err
