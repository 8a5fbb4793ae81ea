"""What a person sees of a checkpoint: in a terminal, as it is written; elsewhere the same text."""

import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reft import viewer
from reft.compose import compose_settings
from reft.config import Config
from reft.viewer import show, writer
from rollout.engines.hf import HFEngine
from rollout.pool import LocalPool
from rollout.types import Completion

SETTINGS = {"task": {"use": "signed_sum"}, "sampling": {"max_tokens": 30}, "rollout": {"threads": 1}}


@pytest.fixture
def config() -> Config:
    return compose_settings("small", SETTINGS).config


def seen(config: Config, model: Path, capsys: pytest.CaptureFixture[str], prompt: str | None = None) -> str:
    show(config, model, 3, 2, prompt, 7)
    return capsys.readouterr().out


@pytest.mark.parametrize("prompt", [None, "a 1 b 1 c 1 > 1 ?"])
def test_a_terminal_shows_the_same_as_it_is_written(
    config: Config,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    prompt: str | None,
) -> None:
    plain = seen(config, tiny_model, capsys, prompt)
    monkeypatch.setenv("FORCE_COLOR", "1")
    watched: list[Completion] = []
    stream = HFEngine.stream

    def watch(*words: Any, **more: Any) -> Completion:
        watched.append(stream(*words, **more))
        return watched[-1]

    monkeypatch.setattr(HFEngine, "stream", watch)
    monkeypatch.setattr(HFEngine, "generate", lambda *_, **__: pytest.fail("chains must be watched one by one"))
    assert re.sub(r"\x1b\[[0-9;]*m", "", seen(config, tiny_model, capsys, prompt)) == plain
    assert len(watched) == (9 if prompt is None else 3)
    assert len({completion.text for completion in watched}) > len(watched) // 2
    if prompt is None:
        assert plain.count("  greedy  ") == 3
        assert plain.count("  sampled ") == 6
        assert plain.count("tokens, ended by") == 9


def test_what_interrupts_a_chain_ends_the_workers(
    config: Config, tiny_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    closed: list[bool] = []
    monkeypatch.setattr(LocalPool, "close", lambda self: closed.append(True))

    def interrupted(console: Console, indent: int) -> Any:
        def write(piece: str) -> None:
            console.print(piece, end="")
            raise KeyboardInterrupt

        return write

    monkeypatch.setattr(viewer, "writer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        seen(config, tiny_model, capsys)
    assert closed == [True]
    assert re.search(r"  (greedy|sampled)\s+\S+$", capsys.readouterr().out), "the piece that was there is shown"


def test_pieces_are_written_one_behind_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    write = writer(Console(highlight=False, soft_wrap=True, markup=False, emoji=False), 4)
    for piece in ("12 ", "+", " [bold]3", " :cat:", "\n", "= ", "x" * 200, "\ny\n"):
        write(piece)
    assert capsys.readouterr().out == f"12 + [bold]3 :cat:\n    = {'x' * 200}\n    y\n    "
