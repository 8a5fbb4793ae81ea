"""A study of chains that is ended half-way and begun again: nothing is drawn twice, and all comes out as without a break."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reft import chain_study
from reft.chain_study import study
from reft.compose import compose_settings
from reft.config import Config
from reft.progress import Display
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.pool import LocalPool
from rollout.worker import Worker
from tests.reft.test_chain_study import LIMIT, PATIENCE, config, run  # noqa: F401  # fixtures
from tests.reft.test_chains import Searcher

NAMES = tuple(PATIENCE)


class Notes(Display):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


def studied(config: Config, run: Path, stop_at: int | None = None, n: int = 2) -> tuple[list[str], list[str]]:  # noqa: F811
    """What was drawn, a line a call that was done, and what was told. The call of number `stop_at` is interrupted."""
    calls: list[str] = []
    problems = config.task.splits().test[:LIMIT]

    class Pool(LocalPool):
        def sample(self, problems, n, params, seed, progress=None):  # type: ignore[no-untyped-def]
            if len(calls) == stop_at:
                raise KeyboardInterrupt
            found = super().sample(problems, n, params, seed, progress)
            calls.append(f"{len(problems)} {n} {seed}")
            return found

    @contextmanager
    def workers(config: Config, checkpoint: str, display: Display) -> Iterator[LocalPool]:
        calls_before = len(calls)
        with closing(
            Pool(Worker(Searcher(PATIENCE[Path(checkpoint).name], problems), Scorer([], Checker()), config.task.read))
        ) as pool:
            yield pool
        assert len(calls) > calls_before, "workers were started for nothing"

    notes = Notes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain_study, "workers", workers)
        if stop_at is None:
            study(config, [run / "checkpoints" / name for name in NAMES], "test", n, 4, notes)
        else:
            with pytest.raises(KeyboardInterrupt):
                study(config, [run / "checkpoints" / name for name in NAMES], "test", n, 4, notes)
    return calls, notes.told


def written(run: Path) -> dict[str, bytes]:  # noqa: F811
    """All files of `eval`, by name; and none of what is kept in between."""
    return {file.name: file.read_bytes() for file in sorted((run / "eval").iterdir())}


@pytest.fixture(scope="module")
def whole(config: Config, run: Path) -> tuple[list[str], dict[str, bytes]]:  # noqa: F811
    calls, told = studied(config, run)
    assert not [line for line in told if "already" in line]
    return calls, written(run)


@pytest.mark.parametrize("share", [0.1, 0.45, 0.6, 0.95])
def test_it_goes_on_where_it_was_ended(
    share: float,
    config: Config,  # noqa: F811
    run: Path,  # noqa: F811
    whole: tuple[list[str], dict[str, bytes]],
) -> None:
    calls, files = whole
    for file in (run / "eval").iterdir():
        file.unlink()
    before, _ = studied(config, run, stop_at=round(share * len(calls)))
    after, told = studied(config, run)
    assert before + after == calls, "each once, in order"
    assert written(run) == files
    taken = [line for line in told if "already" in line]
    assert taken[0].startswith("warmup: ")
    assert len(taken) == (1 if share < 0.5 else 2), "of both checkpoints, where both were begun"
    counts = [line.split() for line in taken]
    assert sum(int(words[1]) for words in counts) == len(before)
    asked = [line.split() for line in before]
    assert sum(int(words[4].replace(",", "")) for words in counts) == sum(int(many) * int(n) for many, n, _ in asked)


def test_other_settings_take_over_nothing_and_leave_it_there(
    config: Config,  # noqa: F811
    run: Path,  # noqa: F811
    whole: tuple[list[str], dict[str, bytes]],
) -> None:
    calls, files = whole
    before, _ = studied(config, run, stop_at=5)
    other, told = studied(config, run, n=3)
    assert len(other) == len(calls)
    assert not [line for line in told if "already" in line]
    after, _ = studied(config, run)
    assert before + after == calls
    assert {name: content for name, content in written(run).items() if name in files} == files


def test_other_weights_or_settings_of_the_run_are_other_chains(
    config: Config,  # noqa: F811
    run: Path,  # noqa: F811
    whole: tuple[list[str], dict[str, bytes]],
) -> None:
    calls, _ = whole
    for change in ({"seed": 1}, {"sampling": {"max_tokens": 299}}, {"checker": {"percent": False}}):
        studied(config, run, stop_at=5)
        settings: dict[str, Any] = {
            "task": {"use": "signed_sum"}, "model": {"path": config.model.path}, "sampling": {"max_tokens": 300},
            "evaluate": {"limit": LIMIT},
        }  # fmt: skip
        changed = compose_settings("x", settings | change).config
        assert len(studied(changed, run)[0]) == len(calls), change
    studied(config, run, stop_at=5)
    manifest = run / "checkpoints" / "warmup" / "more.json"
    manifest.write_text(json.dumps({"other": "weights"}))
    try:
        assert len(studied(config, run)[0]) == len(calls)
    finally:
        manifest.unlink()
