"""Parts of chains on the disk: what was drawn is not drawn again, to the last bit, and nothing else is taken for it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from reft.parts import KeptPool
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import Worker

PROBLEMS = [Problem("p", "p:", "3", {"digits": (1, 2)}), Problem("q", "q:", "4", prefix="so ")]
PARAMS = SamplingParams(max_tokens=40, stop=("!",))
CHAINS = ("3", "\u2028 4 \ud800 \u00bd\n", "", "2! and more")


class Source:
    """Gives pools, and counts what is drawn."""

    def __init__(self) -> None:
        self.started = self.drawn = 0
        engine = ScriptedEngine(self._script, look=8)
        self.pool = LocalPool(Worker(engine, Scorer([], Checker()), lambda problem, chain: chain.strip() or None))

    def _script(self, text: str, number: int) -> str:
        self.drawn += 1
        return CHAINS[(number + text.count("q")) % len(CHAINS)]

    def start(self) -> LocalPool:
        self.started += 1
        return self.pool


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    with closing(made.pool):
        yield made


def bits(sample: Sample) -> object:
    completion = vars(sample.completion)
    arrays = {name: (value.dtype.str, value.tobytes()) for name, value in completion.items() if hasattr(value, "tobytes")}
    rest = {name: value for name, value in completion.items() if name not in arrays}
    return arrays, rest, {name: value for name, value in vars(sample).items() if name != "completion"}


def test_what_was_drawn_is_there_to_the_last_bit(source: Source, tmp_path: Path) -> None:
    first = KeptPool(source.start, tmp_path / "parts", {"weights": "a"})
    assert first.found() == (0, 0)
    drawn = first.sample(PROBLEMS, 4, PARAMS, 7)
    assert len(first.sample(PROBLEMS, 1, PARAMS, 8)) == 2
    assert (source.started, source.drawn) == (1, 10), "it is started once"
    again = KeptPool(source.start, tmp_path / "parts", {"weights": "a"})
    assert again.found() == (2, 10)
    kept = again.sample(PROBLEMS, 4, PARAMS, 7)
    assert (source.started, source.drawn) == (1, 10), "nothing is started where nothing is drawn"
    assert [bits(sample) for sample in kept] == [bits(sample) for sample in drawn]
    assert {sample.completion.text for sample in kept} == {*CHAINS[:3], "2!"}
    assert sum(sample.completion.discarded for sample in kept) > 0


@pytest.mark.parametrize(
    "change",
    [
        {"problems": PROBLEMS[:1]},
        {"problems": [PROBLEMS[0], replace(PROBLEMS[1], prefix="")]},
        {"problems": [PROBLEMS[0], replace(PROBLEMS[1], answer="5")]},
        {"n": 2},
        {"params": replace(PARAMS, min_tokens=1)},
        {"seed": 8},
    ],
    ids=str,
)
def test_what_is_asked_otherwise_is_drawn(source: Source, tmp_path: Path, change: dict[str, object]) -> None:
    pool = KeptPool(source.start, tmp_path, {})
    asked = {"problems": PROBLEMS, "n": 3, "params": PARAMS, "seed": 7}
    pool.sample(**asked)  # type: ignore[arg-type]
    before = source.drawn
    found = pool.sample(**asked | change)  # type: ignore[arg-type]
    assert source.drawn == before + len(found)


def test_parts_of_another_setup_are_not_taken(source: Source, tmp_path: Path) -> None:
    KeptPool(source.start, tmp_path, {"weights": "a"}).sample(PROBLEMS, 1, PARAMS, 7)
    other = KeptPool(source.start, tmp_path, {"weights": "b"})
    assert other.found() == (0, 0)
    other.sample(PROBLEMS, 1, PARAMS, 7)
    assert source.drawn == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: text.rpartition("\n")[0],
        lambda text: text.replace('"equal"', '"wrong"'),
        lambda text: '{"chains": 2}' + text[text.index("\n") :],
        lambda text: "[]" + text[text.index("\n") :],
    ],
)
def test_a_damaged_part_is_drawn_again(source: Source, tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    pool = KeptPool(source.start, tmp_path, {})
    drawn = pool.sample(PROBLEMS, 1, PARAMS, 7)
    (file,) = tmp_path.iterdir()
    whole = file.read_text()
    assert '"equal"' in whole
    file.write_text(damage(whole))
    pool.found()
    assert [asdict(one.verdict) for one in pool.sample(PROBLEMS, 1, PARAMS, 7)] == [asdict(one.verdict) for one in drawn]
    assert source.drawn == 4
    assert file.read_text() == whole


def test_what_is_interrupted_leaves_no_part(source: Source, tmp_path: Path) -> None:
    pool = KeptPool(source.start, tmp_path / "parts", {})
    source.pool.worker.engine.script = lambda text, number: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        pool.sample(PROBLEMS, 1, PARAMS, 7)
    assert pool.found() == (0, 0)


def test_what_is_done_is_forgotten(source: Source, tmp_path: Path) -> None:
    pool = KeptPool(source.start, tmp_path / "parts", {})
    pool.sample(PROBLEMS, 1, PARAMS, 7)
    pool.forget()
    assert not (tmp_path / "parts").exists()
    pool.forget()
