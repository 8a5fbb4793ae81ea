"""Exams taken by strategies, a scripted policy's: what is written, what goes on where it stopped, who is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from transformers import AutoConfig

from reft import sittings
from reft.benchmarks import Questions
from reft.compose import compose_settings
from reft.config import Config, ModelConfig
from reft.errors import ConfigError
from reft.exams import Exam, make_exam
from reft.flops import Cost
from reft.model import load_tokenizer, make_fresh
from reft.progress import Display
from reft.report.read import read_run
from reft.search_exams import Search, curves, finish_search, sit_search, take_search
from reft.searches import Plan, plan
from reft.summary import print_search
from reft.tasks.running_total import RunningTotal
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import bpe_tokenizer, word_tokenizer
from rollout.codec import Codec
from rollout.search.names import STRATEGIES
from rollout.search.strategies import REVISION
from rollout.types import Problem
from rollout.work import Work, work_of_chain, work_of_text
from tests.reft.test_sittings import Counting, Script, script
from tests.report.runs import write_run

BUDGETS = [1, 2, 3]


@pytest.fixture
def config(tiny_model: Path) -> Config:
    settings = {
        "task": {"use": "signed_sum"}, "model": {"path": str(tiny_model)}, "sampling": {"max_tokens": 40},
        "evaluate": {"limit": 7}, "rollout": {"shard_size": 2},
    }  # fmt: skip
    return compose_settings("x", settings).config


@pytest.fixture(autouse=True)
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sittings, "SECTION", 2)


def searching(config: Config, folder: Path, strategy: str, budgets: list[int] | None = None) -> Search:
    exam = make_exam("signed_sum", config, "signed_sum", None, Questions(), "test")
    return sit_search(exam, config, str(config.model.path), folder, "tiny", strategy, budgets or BUDGETS, "test")


def found_by(config: Config, folder: Path, strategy: str, policy: Script = script) -> dict[str, Any]:
    it = searching(config, folder, strategy)
    return finish_search(it, take_search(it, config, Counting(it.exam, policy), Display()), 1.0)


def rows_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(content["file"]).with_suffix(".jsonl").read_text().splitlines()]


def test_what_is_written(config: Config, tmp_path: Path) -> None:
    content = found_by(config, tmp_path, "vote")
    file = tmp_path / "tiny-test-vote-budget1-2-3.json"
    assert json.loads(file.read_text()) == content
    assert not list(tmp_path.glob("*.part.jsonl"))
    rows, (vote, bound) = rows_of(content), content["curves"]
    assert [len(row["chains"]) for row in rows] == [3] * 7, "each chain once"
    assert [[one["budget"] for one in row["found"]] for row in rows] == [BUDGETS] * 7
    cost = Cost.of(AutoConfig.from_pretrained(config.model.path))
    for at, (point, most) in enumerate(zip(vote["points"], bound["points"], strict=True)):
        right = sum(row["chains"][row["found"][at]["picked"]]["verdict"] == "equal" for row in rows)
        assert point["accuracy"]["value"] == right / 7
        assert point["accuracy"]["n"] == content["problems"] == 7
        tokens = [[chain["tokens"] for chain in row["chains"][: at + 1]] for row in rows]
        assert point["tokens_per_query"] == point["tokens"]["value"] == sum(map(sum, tokens)) / 7
        work = Work(0, 0)
        for row, own in zip(rows, tokens, strict=True):
            prompt = len(row["prompt"])  # a token of the script is a character
            work = sum((work_of_chain(prompt, length) for length in own), work + work_of_text(prompt))
        assert point["flops_per_query"] == pytest.approx(cost.forward(work) / 7)
        any_right = [any(chain["verdict"] == "equal" for chain in row["chains"][: at + 1]) for row in rows]
        assert most["accuracy"]["value"] == sum(any_right) / 7
    assert (vote["strategy"], vote["unit"], bound["strategy"]) == ("vote", "chains", "upper_bound")
    assert vote["points"][0]["gain"] is None
    assert (content["split"], content["strategy"], content["setup"]["budgets"]) == ("test", "vote", BUDGETS)
    assert not {"greedy", "samples"} & content["setup"].keys(), "what has no part in it may change"


def test_strategies_that_draw_whole_chains_draw_the_same(config: Config, tmp_path: Path) -> None:
    chains = [[row["chains"] for row in rows_of(found_by(config, tmp_path, name))] for name in ("vote", "weighted", "best")]
    assert chains[0] == chains[1] == chains[2]


def test_each_section_is_drawn_from_a_seed_of_its_own(config: Config, tmp_path: Path) -> None:
    seeds = []
    for strategy, seed in (("vote", 0), ("best", 0), ("vote", 1)):
        it = searching(replace(config, seed=seed), tmp_path, strategy)
        pool = Counting(it.exam, script)
        with patch.object(pool, "sample", wraps=pool.sample) as sample:
            take_search(it, replace(config, seed=seed), pool, Display())
        seeds.append([call.args[3] for call in sample.call_args_list])
    assert len(set(seeds[0])) == 4
    assert seeds[0] == seeds[1]
    assert not set(seeds[0]) & set(seeds[2])


def test_chains_that_are_called_for(config: Config, tmp_path: Path) -> None:
    """The script gives up behind a try, which it does not hold right."""
    content = found_by(config, tmp_path, "wait", lambda prompt, sample: " b + 1 1 c + 1 1 x")
    (curve,) = content["curves"]
    length = len(" b + 1 1 c + 1 1 x")
    assert [point["tokens_per_query"] for point in curve["points"]] == [length, 2 * length, 40], "and no more than 40"
    assert curve["unit"] == "tries"
    assert curve["points"][0]["accuracy"]["value"] == 0
    for row in rows_of(content):
        assert [one["chains"] for one in row["found"]] == [[0], [0, 1], [0, 1, 2]]


@pytest.mark.parametrize("fails_at", [0, 1, 3])
@pytest.mark.parametrize("strategy", ["vote", "wait"])
def test_one_that_stopped_goes_on_to_the_same_end(config: Config, tmp_path: Path, strategy: str, fails_at: int) -> None:
    whole = found_by(config, tmp_path / "whole", strategy)
    it = searching(config, tmp_path / "parts", strategy)
    with pytest.raises(KeyboardInterrupt):
        take_search(it, config, Counting(it.exam, script, fails_at), Display())
    assert len(it.done()) == (fails_at * 2 if strategy == "vote" else len(it.done()))
    again = Counting(it.exam, script)
    parts = finish_search(it, take_search(it, config, again, Display()), 1.0)
    assert parts == whole | {"file": parts["file"]}
    assert rows_of(parts) == rows_of(whole)
    if strategy == "vote":
        assert again.calls == 4 - fails_at, "sections that were done are not done again"
    assert it.finished() == parts
    assert searching(config, tmp_path / "parts", strategy, [1, 2]).finished() is None
    other = replace(it, file=it.file, setup={**it.setup, "strategy": "best"})
    assert other.finished() is None


def test_the_table_tells_all(config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = found_by(config, tmp_path, "vote")
    print_search(content)
    text = capsys.readouterr().out
    assert "test split, vote, n = 7, 95% intervals" in text
    for point in content["curves"][0]["points"]:
        (line,) = [line for line in text.splitlines() if line.startswith(f"│{point['budget']:>7} │")]
        accuracy, tokens = point["accuracy"], point["tokens"]
        assert f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" in line
        assert f"{tokens['value']:.1f} [" in line
        assert f"{point['flops_per_query']:.3g}" in line
    assert "behind an ending" not in text, "this engine looks at every token"
    content["curves"][0]["points"][1]["discarded_per_query"] = 1.25
    print_search(content)
    assert "of these tokens a query 0.0, 1.2, 0.0 were drawn behind an ending" in capsys.readouterr().out


def test_what_is_used_of_what_is_asked_for() -> None:
    asked = Plan("ask", SignedSum(budget_share=0.5), (1, 2))
    rows = [
        {"chains": [], "found": [{"verdict": "equal", "tokens": 5, "discarded": 0, "flops": 1.0, "used": used} for used in own]}
        for own in ((1, 2), (1, 4))
    ]
    (curve,) = curves(asked, rows)
    assert [point["used"]["value"] for point in curve["points"]] == [1, 3]
    assert [point["control"]["value"] for point in curve["points"]] == [1, 0.5]


PROBLEM = Problem("p", "a 1 b 2 c 3 > 4 ?", "4")


def test_what_budgets_count() -> None:
    tries, steps, texts = SignedSum(), RunningTotal(), Questions()
    units = {
        (name, type(task).__name__): Plan(name, task, (2,)).unit
        for name in STRATEGIES for task in (tries, steps, texts)
    }  # fmt: skip
    assert [units[name, "SignedSum"] for name in ("vote", "cap", "wait", "ask")] == ["chains", "tries", "tries", "tries"]
    assert [units[name, "RunningTotal"] for name in ("revise", "cap", "wait", "ask")] == ["rounds", "tokens", "ends", "tokens"]
    assert [units[name, "Questions"] for name in ("best", "cap", "wait", "ask")] == ["chains", "tokens", "turns", "tokens"]
    assert plan("vote", tries, None, PROBLEM).budgets == (1, 2, 4, 8)
    assert plan("ask", SignedSum(budget_share=0.5), None, PROBLEM).budgets == (1, 2, 4)
    assert plan("vote", tries, [4, 1, 4], PROBLEM).budgets == (1, 4)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: plan("cap", Questions(closing="", style="program"), [2], PROBLEM),
            "chains of this task show neither; choose another",
        ),
        (lambda: plan("cap", RunningTotal(), None, PROBLEM), "--strategy cap needs --budget here: so many tokens, such as 32"),
        (lambda: plan("ask", Questions(), None, PROBLEM), "--strategy ask needs --budget here"),
        (lambda: plan("ask", SignedSum(), None, PROBLEM), "choose of none, since task.budget_share=0"),
        (lambda: plan("ask", SignedSum(budget_share=0.5), [3], PROBLEM), "do not show a budget of 3; choose of 1, 2"),
    ],
)
def test_what_a_task_has_not_is_told(make: Callable[[], Plan], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert told in str(caught.value)


def test_who_cannot_read_it_is_refused(config: Config, tmp_path: Path) -> None:
    steps = RunningTotal()
    make_fresh(ModelConfig(layers=1, width=16, heads=2, context=80), word_tokenizer(steps.words(), 80), 0, tmp_path / "model")
    problem = steps.splits().test[0]
    Plan("cap", steps, (2,)).check(str(tmp_path / "model"), problem)
    Plan("wait", steps, (2,)).check(str(tmp_path / "model"), problem)
    with pytest.raises(ConfigError, match=r"--strategy wait puts words .* cannot read, '\\nWait,'"):
        Plan("wait", Questions(), (2,)).check(str(tmp_path / "model"), problem)
    with pytest.raises(ConfigError, match=r"--strategy revise puts words .* cannot read, .*; choose another, such as vote"):
        searching(config, tmp_path, "revise")


def test_a_revision_is_shown_a_chain_for_which_there_must_be_room(tmp_path: Path) -> None:
    texts = [f"How many pens are {number} pens? Look at it again, this may be wrong." for number in range(50)]
    make_fresh(ModelConfig(layers=1, width=16, heads=2, context=128), bpe_tokenizer(texts, 300, 128), 0, tmp_path / "model")
    model = str(tmp_path / "model")
    problems = [replace(PROBLEM, id=str(number), prompt=text) for number, text in enumerate([texts[0], texts[0] * 2])]
    codec = Codec(load_tokenizer(model))
    lengths = [len(codec.prompts([REVISION.format(prompt=problem.prompt, chain="")])[0]) for problem in problems]
    assert lengths[0] < lengths[1] < 128
    plain, revised = (Plan("revise", Questions(), (rounds,)) for rounds in (1, 2))
    room = (128 - lengths[0]) // 2
    assert revised.crowded(model, problems, room) == problems[1:]
    assert revised.crowded(model, problems, room + 1) == problems
    assert plain.crowded(model, problems, room + 1) == []
    config = compose_settings("x", {"task": {"use": "signed_sum"}, "sampling": {"max_tokens": room}}).config
    it = sit_search(Exam("x", "", Questions(), problems, {}), config, model, tmp_path, "tiny", "revise", [2])
    assert (it.exam.problems, it.too_long) == (problems[:1], ["1"])
    config = compose_settings("x", {"task": {"use": "signed_sum"}, "sampling": {"max_tokens": room + 1}}).config
    with pytest.raises(ConfigError, match=f"the prompt of '0' and 2 × sampling.max_tokens={room + 1} are more than the model"):
        sit_search(Exam("x", "", Questions(), problems, {}), config, model, tmp_path, "tiny", "revise", [2])


def test_the_report_draws_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=5, samples=2)

    def write(name: str, strategy: str, n: int, budgets: list[int]) -> None:
        points = [
            {"budget": budget, "tokens_per_query": 10.0 * budget, "flops_per_query": 1e7 * budget,
             "accuracy": {"value": 0.5, "n": n, "low": 0.4, "high": 0.6}} for budget in budgets
        ]  # fmt: skip
        content = {"checkpoint": "x/checkpoints/warmup", "split": "test", "strategy": strategy,
                   "curves": [{"strategy": strategy, "unit": "chains", "points": points}]}  # fmt: skip
        (run / "eval" / f"{name}.json").write_text(json.dumps(content))

    write("warmup-test-vote-budget1-2", "vote", 200, [1, 2])
    write("warmup-test-vote-budget4", "vote", 200, [4])
    write("warmup-test-wait-budget1", "wait", 50, [1])
    write("warmup-test-cap-budget1", "cap", 300, [1])
    record = read_run(run, "run")
    drawn = {curve.strategy: [point.label for point in curve.points] for curve in record.curves if curve.checkpoint == "warmup"}
    assert drawn["vote"] == ["1 chain", "2 chains", "4 chains"], "of several evaluations one curve"
    assert drawn["wait"] == ["1", "2", "4", "8"], "the study had more problems"
    assert drawn["cap"] == ["1 chain"], "here it had fewer"
    assert "chain_oracle" in drawn, "the rest of the study is drawn still"
    assert len(record.studies) == 2
    assert record.notes == []
