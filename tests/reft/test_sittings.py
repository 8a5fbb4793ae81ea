"""Exams taken by a scripted policy: what is written, what goes on where it stopped, who is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from reft import sittings
from reft.benchmarks import Questions
from reft.compose import compose_settings
from reft.config import Config
from reft.errors import ConfigError, RunError
from reft.exams import Exam, Panel, fitting, make_exam
from reft.flops import Cost
from reft.progress import Display
from reft.sittings import Sitting, compare_reports, finish, sit, take
from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import load_term
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.types import Problem
from rollout.worker import Worker

Script = Callable[[str, int], str]


@pytest.fixture
def config(tiny_model: Path) -> Config:
    settings = {
        "task": {"use": "signed_sum"}, "model": {"path": str(tiny_model)}, "sampling": {"max_tokens": 40},
        "evaluate": {"samples": 3, "limit": 7}, "rollout": {"shard_size": 2},
    }  # fmt: skip
    return compose_settings("x", settings).config


@pytest.fixture(autouse=True)
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sittings, "SECTION", 2)


def script(prompt: str, sample: int) -> str:
    """One try that holds itself right, with other signs for other samples."""
    first, second, third = (int(word) for word in prompt.split()[1:6:2])
    signs = ("++", "+-", "-+")[sample % 3]
    half = first + second if signs[0] == "+" else first - second
    end = half + third if signs[1] == "+" else half - third
    return f"b {signs[0]} {second} {half} c {signs[1]} {third} {end} ok"


class Counting(LocalPool):
    """Counts the chains that are sampled; may fail before a call."""

    def __init__(self, exam: Exam, script: Script, fails_at: int | None = None) -> None:
        scorer = Scorer([load_term("correct", "correct", 1.0, {})], Checker())
        super().__init__(Worker(ScriptedEngine(script), scorer, Panel({exam.name: exam.task}).read), 2)
        self.calls, self.chains, self.fails_at = 0, 0, fails_at

    def sample(self, problems, n, params, seed, progress=None):  # type: ignore[no-untyped-def]
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        self.calls += 1
        self.chains += len(problems) * n
        return super().sample(problems, n, params, seed, progress)


def sitting(config: Config, folder: Path, name: str = "tiny") -> Sitting:
    exam = make_exam("signed_sum", config, "signed_sum", None, Questions(), "test")
    return sit(exam, config, str(config.model.path), folder, name)


def taken(config: Config, folder: Path, script: Script = script, name: str = "tiny") -> dict[str, Any]:
    it = sitting(config, folder, name)
    pool = Counting(it.exam, script)
    content = finish(it, take(it, config, pool, Display()), 1.0)
    assert pool.chains == 7 * 4
    return content


def test_what_is_written(config: Config, tmp_path: Path) -> None:
    content = taken(config, tmp_path)
    assert json.loads((tmp_path / "tiny-signed_sum.json").read_text()) == content
    rows = [json.loads(line) for line in (tmp_path / "tiny-signed_sum.jsonl").read_text().splitlines()]
    assert [len(row["sampled"]) for row in rows] == [3] * 7
    assert not list(tmp_path.glob("*.part.jsonl"))
    right = [sum(chain["verdict"] == "equal" for chain in row["sampled"]) / 3 for row in rows]
    sampled, setup = content["sampled"], content["setup"]
    assert sampled["accuracy"] == sampled["estimates"]["accuracy"] == sampled["pass@k"]["1"]
    assert sampled["accuracy"]["value"] == pytest.approx(sum(right) / 7)
    assert sampled["pass@k"]["3"]["value"] == sum(share > 0 for share in right) / 7
    assert set(sampled["maj@k"]) == {"1", "2", "3"}
    cost = Cost.of(AutoConfig.from_pretrained(config.model.path))
    queries = [cost.query(row["prompt_tokens"], chain["tokens"]) for row in rows for chain in row["sampled"]]
    assert sampled["flops_per_query"] == pytest.approx(sum(queries) / 21)
    assert sampled["estimates"]["tries_per_chain"]["n"] == content["problems"] == 7
    assert 0 < sampled["estimates"]["verdict_error"]["value"] < 1, "verdicts are of the task's own tracer"
    assert (setup["samples"], setup["seed"], setup["stop"]) == (3, 0, ["the end token"])
    assert (setup["prompt"], setup["extractor"]) == (rows[0]["prompt"], "reft.tasks.signed_sum:SignedSum")
    assert setup["sampled"]["max_tokens"] == 40
    assert setup["greedy"]["temperature"] == 0
    assert setup["checker"]["rounding"] == config.checker.rounding


def test_whatever_ends_a_line_in_a_chain(config: Config, tmp_path: Path) -> None:
    def odd(prompt: str, sample: int) -> str:
        return f"{script(prompt, sample)}\u2028\x85"

    it = sitting(config, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        take(it, config, Counting(it.exam, odd, 4), Display())
    assert len(it.done()) == 4, "two sections of two problems"
    one, other = (taken(config, tmp_path / name, odd, name) for name in ("one", "other"))
    assert compare_reports(one, other, 0)["problems"] == 7


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3, 5])
def test_one_that_stopped_goes_on_to_the_same_end(config: Config, tmp_path: Path, fails_at: int) -> None:
    whole = taken(config, tmp_path / "whole")
    it = sitting(config, tmp_path / "parts")
    pool = Counting(it.exam, script, fails_at)
    with pytest.raises(KeyboardInterrupt):
        take(it, config, pool, Display())
    with it.part.open("a") as file:  # killed within a line
        file.write(json.dumps({"problem": it.exam.problems[fails_at // 2 * 2].id}) + "\n")  # of a section that is not whole
        file.write('{"problem": "x", "prom')
    again = Counting(it.exam, script)
    parts = finish(it, take(it, config, again, Display()), 1.0)
    assert again.calls == 8 - fails_at // 2 * 2, "sections that were done are not done again"
    assert parts == whole | {"file": parts["file"]}
    files = [tmp_path / folder / "tiny-signed_sum.jsonl" for folder in ("parts", "whole")]
    assert files[0].read_text() == files[1].read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda config: replace(config, seed=1),
        lambda config: replace(config, evaluate=replace(config.evaluate, samples=2)),
        lambda config: replace(config, evaluate=replace(config.evaluate, limit=6)),
        lambda config: replace(config, sampling=replace(config.sampling, max_tokens=39)),
        lambda config: replace(config, checker=replace(config.checker, rounding=0)),
    ],
)
def test_another_setting_begins_anew(config: Config, tmp_path: Path, change: Callable[[Config], Config]) -> None:
    it = sitting(config, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        take(it, config, Counting(it.exam, script, 4), Display())
    assert len(sitting(config, tmp_path).done()) == 4
    assert sitting(change(config), tmp_path).done() == []
    finish(it, take(it, config, Counting(it.exam, script), Display()), 1.0)
    assert sitting(config, tmp_path).finished() is not None
    assert sitting(change(config), tmp_path).finished() is None


def test_other_weights_begin_anew(config: Config, tmp_path: Path) -> None:
    it = sitting(config, tmp_path)
    assert replace(it, setup={**it.setup, "weights": "other"}).finished() is None
    assert it.setup["weights"] == sitting(config, tmp_path).setup["weights"]


def test_two_checkpoints_on_the_same_problems(config: Config, tmp_path: Path) -> None:
    never = taken(config, tmp_path, lambda prompt, sample: "x", "never")
    mixed = taken(config, tmp_path, script, "mixed")
    found = compare_reports(mixed, never, 0)
    assert json.loads(Path(found["file"]).read_text()) == found
    for mode in ("greedy", "sampled"):
        assert found[mode]["difference"]["value"] == pytest.approx(
            mixed[mode]["accuracy"]["value"] - never[mode]["accuracy"]["value"]
        )
    assert found["problems"] == found["greedy"]["difference"]["n"] == 7
    assert found["greedy"]["test"] == "McNemar, exact"
    assert mixed["sampled"]["accuracy"]["value"] > never["sampled"]["accuracy"]["value"] == 0
    rows = Path(never["file"]).with_suffix(".jsonl")
    rows.write_text(rows.read_text().replace('"problem": "', '"problem": "other '))
    with pytest.raises(RunError, match="no problem of signed_sum in common"):
        compare_reports(mixed, never, 0)


def test_a_checkpoint_of_another_tokenizer_is_refused(config: Config, tiny_model: Path, tmp_path: Path) -> None:
    exam = Exam("gsm8k", "", Questions(), [Problem("gsm8k:0", "How many pens?", "1")], {})
    with pytest.raises(ConfigError, match=r"the tokenizer of .* cannot read gsm8k's 'How many pens\?'.* another task"):
        fitting(exam, str(tiny_model), 10)
    content = json.loads((tiny_model / "config.json").read_text())
    folder = tmp_path / "other"
    folder.mkdir()
    for file in tiny_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_text(json.dumps({**content, "vocab_size": content["vocab_size"] - 1}))
    with pytest.raises(ConfigError, match=r"tokenizer of \d+ tokens and weights for \d+: it is another model's"):
        fitting(exam, str(folder), 10)


def test_what_does_not_fit_is_counted(config: Config, tiny_model: Path) -> None:
    long = " ".join(["a 5"] * 15)
    exam = Exam("x", "", Questions(), [Problem("short", "a 5", "1"), Problem("long", long, "1")], {})
    fits, too_long = fitting(exam, str(tiny_model), 60)
    assert ([problem.id for problem in fits.problems], too_long) == (["short"], ["long"])
    with pytest.raises(RunError, match=r"no prompt leaves room for sampling.max_tokens=80 in the 80 positions"):
        fitting(exam, str(tiny_model), 80)


def test_a_task_of_records_may_have_answers_that_do_not_parse(config: Config, tmp_path: Path) -> None:
    rows = [{"question": f"Q{at}", "answer_value": "\\frac{1" if at == 1 else str(at)} for at in range(3)]
    (tmp_path / "test.json").write_text(json.dumps(rows))
    (tmp_path / "train.json").write_text(json.dumps([{"question": "Other", "answer_value": "1"}]))
    settings = {"task": {"use": "jsonl", **{split: str(tmp_path / f"{split}.json") for split in ("train", "test")}}}
    composed = compose_settings("x", settings)
    exam = make_exam("jsonl", composed.config, "jsonl", None, Questions(), "test")
    assert [problem.answer for problem in exam.problems] == ["0", "2"]
    assert list(exam.unscored.values()) == ["\\frac{1"]
    assert exam.asked() == {"prompt": composed.config.task.prompt, "extractor": "reft", "task": composed.settings["task"]}
    for limit, answers, unscored in ((1, ["0"], 0), (2, ["0", "2"], 1)):
        config = replace(composed.config, evaluate=replace(composed.config.evaluate, limit=limit))
        exam = make_exam("jsonl", config, "jsonl", None, Questions(), "test")
        assert ([problem.answer for problem in exam.problems], len(exam.unscored)) == (answers, unscored)
