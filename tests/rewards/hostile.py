"""Reward functions that do harm at chains that say so."""

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any


def _at(word: str, harm: Callable[[], Any]) -> Callable[..., list[Any]]:
    def reward(completions: Sequence[str], **columns: Any) -> list[Any]:
        return [harm() if word in text else float(len(text)) for text in completions]

    return reward


def _boom() -> None:
    raise ZeroDivisionError("boom")


def _interrupt() -> None:
    raise KeyboardInterrupt


booms = _at("bad", _boom)
interrupts = _at("bad", _interrupt)
hangs = _at("bad", lambda: time.sleep(600))
leaves = _at("bad", lambda: os._exit(9))
kills = _at("bad", lambda: os.kill(os.getpid(), 9))
eats = _at("bad", lambda: len(bytearray(1 << 40)))
nans = _at("bad", lambda: math.nan)
words = _at("bad", lambda: "a lot")


def forgets(completions: Sequence[str], **columns: Any) -> list[float]:
    return [float(len(text)) for text in completions if "bad" not in text]
