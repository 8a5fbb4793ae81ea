"""A chain can be watched: it is the same, its pieces join to it, and each comes before the next token is drawn."""

from pathlib import Path
from typing import Any

import numpy
import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from reft.config import ModelConfig
from reft.model import make_fresh
from reft.tokenizer import bpe_tokenizer, word_tokenizer
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.codec import Codec, TextStream
from rollout.engine import StreamingEngine
from rollout.engines.continuous import LOOK
from rollout.engines.hf import HFEngine, HFEngineFactory
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker
from tests.rollout.test_hf_engine import MODELS, WAITING, WORDS

LONG = SamplingParams(1.0, 40)
TEXT = "héé, 你好 🙂!"
BYTES = [f"<0x{number:02X}>" for number in range(256)]


@pytest.fixture(scope="module", params=["gpt2", "llama with shared heads", *sorted(WAITING)])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / request.param
    architecture, extra = MODELS[request.param]
    shape = ModelConfig(architecture=architecture, layers=2, width=16, heads=2, context=64, extra=dict(extra))
    make_fresh(shape, word_tokenizer(WORDS, 64), 1, path)
    return path


@pytest.fixture(scope="module")
def engine(folder: Path) -> HFEngine:
    return HFEngineFactory(str(folder))()


def byte_level() -> Codec:
    return Codec(bpe_tokenizer(["a b"], 258, 64))


def byte_fallback() -> Codec:
    """As Llama's: characters, spaces as ▁, and bytes for all others; bytes in a row are decoded together or not at all."""
    vocabulary = {token: number for number, token in enumerate(["<end>", *BYTES, "▁", "h", ",", "!"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return Codec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>"))


def tell(codec: Codec, tokens: Any, prefix: str = "") -> list[tuple[int, str]]:
    """The pieces of a chain, each with the number of tokens that were drawn when it came."""
    pieces: list[tuple[int, str]] = []
    given = codec.prefixes([prefix])[0]
    stream = TextStream(
        codec, given, (), lambda piece: pieces.append((len(stream.tokens) if pieces or not prefix else 0, piece))
    )
    for token in tokens:
        assert stream.hear(int(token))
    stream.end(codec.text_behind(given, numpy.asarray(tokens)))
    return pieces


@pytest.mark.parametrize(
    "params", [LONG, SamplingParams(0.0, 30), SamplingParams(0.7, 40, top_p=0.9), SamplingParams(1.0, 40, stop=("h ?", "c"))]
)
@pytest.mark.parametrize("prefix", ["", "c d e f g"])
def test_a_chain_is_the_same_when_it_is_watched(engine: HFEngine, params: SamplingParams, prefix: str) -> None:
    lengths = set()
    for seed in range(8):
        pieces: list[str] = []
        seen = engine.stream("a b ?", params, seed, pieces.append, prefix)
        ((plain,),) = engine.generate(["a b ?"], 1, params, seed, [prefix])
        assert numpy.array_equal(seen.tokens, plain.tokens)
        assert numpy.array_equal(seen.logprobs, plain.logprobs)
        assert (seen.text, seen.finish, seen.prefix, seen.prefix_length) == (
            plain.text, plain.finish, plain.prefix, plain.prefix_length,
        )  # fmt: skip
        assert "".join(pieces) == plain.chain
        assert all(pieces)
        lengths.add(len(seen.tokens))
    assert len(lengths) > (0 if params.temperature == 0 else 3)


def test_each_of_several_can_be_watched(engine: HFEngine) -> None:
    ((*group,),) = engine.generate(["a b ?"], 6, LONG, seed=3)
    watched = [engine.stream("a b ?", LONG, 3, lambda piece: None, sample=number) for number in range(6)]
    assert [one.tokens.tolist() for one in watched] == [one.tokens.tolist() for one in group]
    assert len({one.text for one in watched}) > 3


def test_a_token_is_told_before_the_next_is_drawn(engine: HFEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    forward = engine.model.forward

    def watch(**inputs: Any) -> Any:
        events.append("drawn")
        return forward(**inputs)

    monkeypatch.setattr(engine.model, "forward", watch)
    told = 0
    for seed in range(8):
        del events[:]
        completion = engine.stream("a b ?", SamplingParams(1.0, 12), seed, events.append)
        words = [engine.codec.text([token]) for token in completion.tokens]
        assert [event.strip() for event in events] == [event for word in words for event in ("drawn", word) if event]
        told += len(completion.text.split())
    assert told > 16


def test_what_is_drawn_ends_at_a_text(engine: HFEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is shown that is cut off, since it is not drawn; one that is not watched goes on a little."""
    passes: list[int] = []
    forward = engine.model.forward
    monkeypatch.setattr(engine.model, "forward", lambda **inputs: passes.append(1) or forward(**inputs))
    params, early = SamplingParams(1.0, 40, stop=("a", "b", "c", "d")), 0
    for seed in range(10):
        del passes[:]
        completion = engine.stream("a b ?", params, seed, lambda piece: None)
        assert len(passes) == len(completion.tokens)
        del passes[:]
        engine.generate(["a b ?"], 1, params, seed)
        assert len(completion.tokens) <= len(passes) <= len(completion.tokens) + LOOK + 1
        early += completion.finish == "stop" and completion.tokens[-1] != engine.codec.end
    assert early > 5


@pytest.mark.parametrize("make", [byte_level, byte_fallback])
def test_a_character_is_held_back_until_it_is_whole(make: Any) -> None:
    codec = make()
    (tokens,) = codec.prefixes([TEXT])
    pieces = tell(codec, tokens)
    assert "".join(piece for _, piece in pieces) == TEXT == codec.text(tokens)
    assert not any("\ufffd" in piece for _, piece in pieces)
    assert len(tokens) > len(TEXT)
    if make is byte_level:
        assert pieces[:3] == [(1, "h"), (3, "é"), (5, "é")], "as soon as its last byte is there"
    else:
        assert pieces[:2] == [(1, "h"), (6, "éé,")], "bytes in a row are nothing until they all are there"


@pytest.mark.parametrize("make", [byte_level, byte_fallback])
def test_whatever_is_drawn_is_told(make: Any) -> None:
    """Also what is no text: bytes that make no character, ends that are missing, special tokens."""
    codec, draw = make(), numpy.random.default_rng(0)
    characters = codec.prefixes([TEXT])[0]
    held = 0
    for _ in range(400):
        cut = characters[draw.integers(len(characters)) :][: draw.integers(1, 9)]
        noise = draw.integers(0, len(codec.tokenizer), draw.integers(0, 5))
        tokens = numpy.concatenate([cut, noise, cut, [codec.end] * draw.integers(2)]).astype(numpy.int32)
        prefix = "h!" if draw.integers(2) else ""
        pieces = tell(codec, tokens, prefix)
        assert "".join(piece for _, piece in pieces) == prefix + codec.text_behind(codec.prefixes([prefix])[0], tokens)
        held += "\ufffd" in codec.text(tokens)
    assert 100 < held < 400, "some are whole, some are not"


def test_what_is_held_back_is_told_at_the_end(tmp_path: Path) -> None:
    make_fresh(ModelConfig("", "llama", 1, 16, 2, 64), bpe_tokenizer(["a b"], 258, 64), 1, tmp_path)
    engine, broken = HFEngineFactory(str(tmp_path))(), 0
    for seed in range(12):
        pieces: list[str] = []
        completion = engine.stream("a b", SamplingParams(1.0, 9), seed, pieces.append)
        assert "".join(pieces) == completion.text
        broken += completion.text.endswith("\ufffd")
    assert broken > 3


def test_a_special_token_has_no_text() -> None:
    codec = byte_level()
    (h, e, _) = codec.chains(["he"])[0].tolist()
    assert tell(codec, [codec.pad, h, codec.pad, e, codec.end]) == [(2, "h"), (4, "e")]


def test_engines_that_can_be_watched(engine: HFEngine) -> None:
    assert isinstance(engine, StreamingEngine)
    scripted = ScriptedEngine(lambda prompt, sample: "")
    assert not isinstance(scripted, StreamingEngine)
    worker = Worker(scripted, Scorer([], Checker()), lambda problem, text: None)
    with pytest.raises(TypeError, match="ScriptedEngine cannot be watched"):
        LocalPool(worker).watch(Problem("1", "a", "b"), LONG, 0, lambda piece: None)
