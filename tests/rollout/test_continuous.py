"""Rows come and go: none waits for another, no prompt is computed twice, and none of it changes a chain."""

from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch

from reft.config import ModelConfig
from reft.model import make_fresh
from reft.tokenizer import word_tokenizer
from rollout.engines import continuous
from rollout.engines.hf import HFEngine, HFEngineFactory
from rollout.engines.slots import Prefilled, Slots
from rollout.types import Completion, SamplingParams
from tests.devices import DEVICES

WORDS = [*"abcdefgh", "?"]
PARAMS = SamplingParams(1.0, 40)


@pytest.fixture(scope="module", params=DEVICES)
def engine(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> HFEngine:
    folder = tmp_path_factory.mktemp("model")
    make_fresh(ModelConfig("", "llama", 2, 32, 4, 64, {"num_key_value_heads": 2}), word_tokenizer(WORDS, 64), 3, folder)
    return HFEngineFactory(str(folder), device=request.param)()


@pytest.fixture
def calls(engine: HFEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """Rows and tokens of each forward pass."""
    seen: list[tuple[int, int]] = []
    forward = engine.model.forward

    def watch(**inputs: Any) -> Any:
        seen.append(tuple(inputs["input_ids"].shape))
        return forward(**inputs)

    monkeypatch.setattr(engine.model, "forward", watch)
    rows = engine.max_rows
    yield seen
    engine.max_rows = rows


def prompts(count: int) -> list[str]:
    draw = numpy.random.default_rng(0)
    return [" ".join(draw.choice(WORDS, int(draw.integers(1, 20)))) for _ in range(count)]


def plain(groups: list[list[Completion]]) -> list[list[tuple[list[int], str]]]:
    return [[(completion.tokens.tolist(), completion.text) for completion in group] for group in groups]


def test_chains_are_the_same_whoever_is_beside_them(engine: HFEngine, calls: list[tuple[int, int]]) -> None:
    engine.max_rows = 256
    together = plain(engine.generate(prompts(24), 5, PARAMS, seed=1))
    assert len({len(tokens) for group in together for tokens, _ in group}) > 20, "rows leave at different times"
    for rows in (1, 7, 16, 64):
        engine.max_rows = rows
        del calls[:]
        assert plain(engine.generate(prompts(24), 5, PARAMS, seed=1)) == together, rows
        assert max(count for count, tokens in calls if tokens == 1) == rows


@pytest.mark.parametrize("rows", [3, 16, 256])
def test_a_prompt_is_computed_once(engine: HFEngine, calls: list[tuple[int, int]], rows: int) -> None:
    engine.max_rows = rows
    asked = [prompt for prompt in prompts(30) if len(prompt.split()) > 1]
    engine.generate(asked, 7, PARAMS, seed=1)
    begun = sum(count for count, tokens in calls if tokens > 1)
    assert begun == len(asked)


def test_prompts_are_computed_in_pieces_that_fit(engine: HFEngine, calls: list[tuple[int, int]], monkeypatch) -> None:
    whole = plain(engine.generate(prompts(30), 2, PARAMS, seed=1))
    del calls[:]
    monkeypatch.setattr(continuous, "PREFILL_TOKENS", 40)
    assert plain(engine.generate(prompts(30), 2, PARAMS, seed=1)) == whole
    assert max(count * tokens for count, tokens in calls if tokens > 1) <= 40


def test_few_rows_stand_idle(engine: HFEngine, calls: list[tuple[int, int]]) -> None:
    """Where as many chains wait as there are rows and more, hardly more rows are computed than tokens are drawn."""
    engine.max_rows = 64
    groups = engine.generate(prompts(64), 16, PARAMS, seed=1)
    drawn = sum(len(completion.tokens) - 1 for group in groups for completion in group)
    computed = sum(count for count, tokens in calls if tokens == 1)
    assert drawn <= computed < 1.1 * drawn
    longest = sum(max(len(c.tokens) for group in groups[at : at + 4] for c in group) * 64 for at in range(0, 64, 4))
    assert longest > 2 * computed, "as many as would be if each batch waited for its longest"


def test_a_text_ends_a_chain_soon(engine: HFEngine, calls: list[tuple[int, int]]) -> None:
    engine.drain_usage()
    groups = engine.generate(prompts(16), 8, SamplingParams(1.0, 40, stop=("a", "b", "c")), seed=1)
    drawn = sum(len(completion.tokens) for group in groups for completion in group)
    assert sum(count for count, tokens in calls if tokens == 1) < drawn + 128 * (continuous.LOOK + 2)
    assert max(len(completion.tokens) for group in groups for completion in group) < 30
    assert engine.drain_usage().rows == sum(completion.drawn - 1 for group in groups for completion in group), "all are counted"


def test_end_tokens_are_not_looked_for_behind_the_end(engine: HFEngine) -> None:
    for group in engine.generate(prompts(8), 8, PARAMS, seed=2):
        for completion in group:
            assert engine.codec.end not in completion.tokens[:-1]
            assert (completion.finish == "stop") == (completion.tokens[-1] == engine.codec.end)
            assert len(completion.logprobs) == len(completion.tokens) <= PARAMS.max_tokens
            assert (completion.logprobs < 0).all()


def test_nothing_is_asked(engine: HFEngine) -> None:
    assert engine.generate([], 3, PARAMS, seed=0) == []
    assert engine.generate(["a"], 0, PARAMS, seed=0) == [[]]


def filled(value: float, length: int) -> Prefilled:
    keys = [torch.full((1, 2, length, 4), value + layer) for layer in range(3)]
    return Prefilled(keys, [-key for key in keys], torch.tensor([length]), torch.zeros(1, 9))


def test_rows_move_with_all_that_is_theirs() -> None:
    slots = Slots(40, 12, torch.device("cpu"))
    lengths = [9] * 20 + [5] * 15 + [2] * 5
    for row, length in enumerate(lengths):
        slots.admit(filled(100.0 * row, length), torch.tensor([0]))
    slots.arrange()
    left = [row for row in range(40) if row % 3]
    slots.keep(torch.tensor(left))
    assert slots.used == len(left)
    for place, row in enumerate(left):
        length = lengths[row]
        assert slots.lengths[place] == length
        assert (slots.bias[place] == 0).nonzero().flatten().tolist() == list(range(length))
        for number, layer in enumerate(slots.layers):
            assert (layer.keys[place, :, :length] == 100.0 * row + number).all()
            assert (layer.values[place, :, :length] == -100.0 * row - number).all()


def test_spans_hold_each_row_once_and_are_as_wide_as_their_longest() -> None:
    slots = Slots(100, 12, torch.device("cpu"))
    lengths = sorted(numpy.random.default_rng(0).integers(1, 11, 90).tolist(), reverse=True)
    for length in lengths:
        slots.admit(filled(1.0, length), torch.tensor([0]))
    slots.arrange()
    assert [row for first, end, _ in slots.spans for row in range(first, end)] == list(range(90))
    assert [width for *_, width in slots.spans] == [max(lengths[first:end]) for first, end, _ in slots.spans]
    assert sum((end - first) * width for first, end, width in slots.spans) < 1.25 * sum(lengths)
    slots.open()
    assert [width for *_, width in slots.spans] == [max(lengths[first:end]) + 1 for first, end, _ in slots.spans]
    slots.close(torch.arange(90) % 2 == 0)
    assert slots.lengths[:90].tolist() == [length + (row % 2 == 0) for row, length in enumerate(lengths)]
