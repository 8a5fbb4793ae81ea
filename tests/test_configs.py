"""Every shipped config is read, checked and, where its data are at hand, prepared."""

from pathlib import Path

import pytest

from reft.compose import compose, shipped_configs

CONFIGS = sorted(shipped_configs().glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_is_valid_and_says_what_it_is(path: Path) -> None:
    composed = compose(str(path))
    assert composed.config.train.steps > 0
    assert path.read_text().startswith("# "), "a reader is told what the config is for"


@pytest.mark.parametrize(
    "name",
    ["quickstart", "reft_running_total", "ppo_running_total", "reft_word_problems", "reft_word_problems_programs"],
)
def test_can_be_prepared(name: str) -> None:
    from reft.arithmetic import arithmetic
    from reft.prepare import prepare

    composed = compose(name)
    prepared = prepare(composed)
    assert prepared.too_long == 0
    text = arithmetic(prepared)
    assert composed.hash() in text
    chains = composed.config.train.steps * composed.config.train.prompts
    assert f"{chains:,} chains" in text
