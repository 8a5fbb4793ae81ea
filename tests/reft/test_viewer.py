"""What a person sees of a checkpoint: in a terminal, as it is written; elsewhere the same text."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reft import viewer
from reft.compose import compose_settings
from reft.config import Config
from reft.errors import ConfigError, UserError
from reft.searches import Plan
from reft.tasks.jsonl import Jsonl
from reft.tasks.running_total import RunningTotal
from reft.tasks.signed_sum import SignedSum
from reft.tasks.word_problems import WordProblems
from reft.viewer import choose_problems, find_problem, fit, show, show_prompt, show_search, writer
from rollout.engines.hf import HFEngine
from rollout.pool import LocalPool
from rollout.search.forcing import WAIT, Form
from rollout.types import Completion, Problem

SETTINGS = {"task": {"use": "signed_sum"}, "sampling": {"max_tokens": 30}, "rollout": {"threads": 1}}


@pytest.fixture
def config() -> Config:
    return compose_settings("small", SETTINGS).config


def seen(config: Config, model: Path, capsys: pytest.CaptureFixture[str], prompt: str | None = None) -> str:
    if prompt is None:
        show(config, model, choose_problems(config.task, 3, None, 7), 2, 7)
    else:
        show_prompt(config, model, prompt, 2, 7)
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


def test_a_problem_is_asked_for_by_id_or_number(config: Config) -> None:
    splits = config.task.splits()
    assert choose_problems(config.task, 3, splits.train[5].id, 0) == [splits.train[5]]
    assert choose_problems(config.task, 3, "7", 0) == [splits.test[7]]
    some = choose_problems(config.task, 3, None, 1)
    assert some == choose_problems(config.task, 3, None, 1) != choose_problems(config.task, 3, None, 2)
    assert len(set(map(id, some))) == 3
    with pytest.raises(ConfigError, match=r"there is no problem '-1'; name its id, such as '.* \?', or its number below"):
        choose_problems(config.task, 1, "-1", 0)


def test_a_problem_is_known_by_its_prompt(config: Config) -> None:
    problem = config.task.splits().dev[3]
    assert find_problem(config.task, problem.prompt) == problem
    assert find_problem(config.task, f"{problem.prompt} ") is None


def test_how_chains_go_on_is_the_task_s() -> None:
    assert Plan("wait", SignedSum(), (1,)).waiting == SignedSum().form()
    assert Plan("wait", RunningTotal(), (1,)).waiting == Form(answering="#"), "no word of the task's says to wait"
    assert Plan("wait", WordProblems(style="p-cot"), (1,)).waiting == Form(answering="return")
    assert Plan("wait", Jsonl(train="x"), (1,)).waiting == replace(WAIT, answering="Therefore, the answer is:")
    assert Plan("wait", Jsonl(train="x", closing="\n#### {answer}"), (1,)).waiting.answering == "####"
    assert Plan("wait", Jsonl(train="x", closing="", style="program"), (1,)).waiting == WAIT


@pytest.mark.parametrize("name", ["vote", "wait"])
def test_a_strategy_shows_its_chains_and_its_choice(
    config: Config, tiny_model: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    problems = choose_problems(config.task, 2, None, 7)
    show_search(config, tiny_model, problems, name, 3, 7)
    text = capsys.readouterr().out
    for problem in problems:
        assert problem.prompt in text
    costs = re.findall(rf"→ {name} 3: (?:no answer|answers .+, by chain [1-3]); (\d+) tokens sampled in all", text)
    assert len(costs) == 2
    halves = re.split(r"tokens sampled in all", text)[:2]
    shown = [[int(tokens) for tokens in re.findall(r"(\d+) tokens(?: more)?, ended by", half)] for half in halves]
    assert [sum(own) for own in shown] == [int(cost) for cost in costs], "what is shown is what was drawn, and nothing twice"
    if name == "vote":
        assert [len(own) for own in shown] == [3, 3]


@pytest.mark.parametrize("name", ["vote", "wait", "cap"])
def test_a_search_is_watched_as_it_goes_on(
    config: Config, tiny_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def search() -> str:
        show_search(config, tiny_model, choose_problems(config.task, 2, None, 7), name, 3, 7)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

    plain = search()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(HFEngine, "generate", lambda *_, **__: pytest.fail("chains must be watched one by one"))
    assert search() == plain


def test_a_budget_is_asked_for_where_the_task_can(config: Config, tiny_model: Path) -> None:
    problems = choose_problems(config.task, 1, None, 7)
    with pytest.raises(UserError, match=r"task\.budget_share=0"):
        show_search(config, tiny_model, problems, "ask", 2, 7)


def test_who_cannot_read_the_words_of_a_revision_is_not_asked_for_one(config: Config, tiny_model: Path) -> None:
    with pytest.raises(UserError, match="This"):
        show_search(config, tiny_model, choose_problems(config.task, 1, None, 7), "revise", 2, 7)


def test_chains_are_as_short_as_a_checkpoint_wants_them(config: Config, tiny_model: Path) -> None:
    problems = choose_problems(config.task, 2, None, 7)
    tokens = len(problems[0].prompt.split())
    assert fit(config, tiny_model, problems).sampling.max_tokens == 30, "as long as they are said to be"
    longer = replace(config, sampling=replace(config.sampling, max_tokens=256))
    assert fit(longer, tiny_model, problems).sampling.max_tokens == 80 - tokens
    assert fit(longer, tiny_model, problems, 2).sampling.max_tokens == (80 - tokens) // 2
    with pytest.raises(ConfigError, match="a prompt leaves no room in the 80 positions"):
        fit(longer, tiny_model, [Problem("p", "a 1 " * 40, "1")])
