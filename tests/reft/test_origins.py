"""What our own evaluations and runs have written comes to the same figures again; what is not known is asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from reft import sittings
from reft.benchmarks import Questions
from reft.cli import main
from reft.compose import compose_settings
from reft.exams import Panel, make_exam
from reft.progress import Display
from reft.rollouts import make_scorer
from reft.run import row
from reft.sittings import finish, sit, take
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.worker import Worker

TASKS: dict[str, dict[str, Any]] = {
    "signed_sum": {"operands": 4},
    "running_total": {},
    "word_problems": {"style": "p-cot", "train_size": 50, "dev_size": 5, "test_size": 20},
}
SHARED_FIGURES = ("accuracy", "no_answer", "undecided")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sittings, "fitting", lambda exam, checkpoint, longest: (exam, []))  # whatever the model's words
    return tmp_path


def settings(model: Path, use: str) -> dict[str, Any]:
    return {
        "task": {"use": use, **TASKS[use]}, "model": {"path": str(model)}, "sampling": {"max_tokens": 400}, "seed": 5,
        "evaluate": {"samples": 12, "limit": 8}, "rollout": {"shard_size": 4}, "checker": {"rounding": 3},
    }  # fmt: skip


def evaluated(model: Path, use: str, name: str | None = None, data: str | None = None, asked: Questions | None = None) -> Any:
    """The report on a policy that solves some problems, by some chains, and writes what is no chain else; and the pool."""
    config = compose_settings("x", settings(model, use)).config
    exam = make_exam(name or use, config, use, data, asked or Questions(), "test")
    if name is None:
        shown = {shown.problem.prompt: shown.chain for shown in exam.task.demonstrations(exam.problems, 0)}
    else:
        shown = {problem.prompt: f"#### {problem.answer}\nThat is \\boxed{{7}}." for problem in exam.problems}

    def script(prompt: str, sample: int) -> str:
        place = list(shown).index(prompt)
        other = list(shown)[place - 1]
        return (shown[prompt], shown[other], "none")[(sample * (place + 3) + place) % 3]

    scorer = make_scorer({}, config.checker, config.programs)
    pool = LocalPool(Worker(ScriptedEngine(script), scorer, Panel({exam.name: exam.task}).read), 4)
    it = sit(exam, config, str(model), Path("out"), "tiny")
    content = finish(it, take(it, config, pool, Display()), 1.0)
    pool.close()
    return content


def scored_again(*words: str) -> dict[str, Any]:
    assert main(["eval", "--from-outputs", *words]) == 0
    return json.loads((Path("eval") / f"{Path(words[0]).stem}-outputs.json").read_text())  # type: ignore[no-any-return]


def check_same(content: dict[str, Any], again: dict[str, Any]) -> None:
    for mode in ("greedy", "sampled"):
        found = again["models"][mode]
        for name in SHARED_FIGURES:
            assert found[name] == content[mode]["estimates"][name]
        assert found["agreement"]["value"] == 1
        assert found["differing"] == []
    for name in ("pass@k", "maj@k"):
        assert again["models"]["sampled"][name] == content["sampled"][name]
    assert 0 < content["sampled"]["accuracy"]["value"] < 1
    assert again["setup"]["seed"] == 5
    assert again["setup"]["checker"]["rounding"] == 3
    assert again["setup"]["extractor"] == content["setup"]["extractor"]


@pytest.mark.parametrize("use", TASKS)
def test_an_evaluation_of_a_task_comes_to_the_same_again(tiny_model: Path, use: str) -> None:
    content = evaluated(tiny_model, use)
    assert content["setup"]["task"]["use"] == use
    check_same(content, scored_again(f"out/tiny-{use}.jsonl"))


def test_a_benchmark_is_read_by_its_extractor(tiny_model: Path, tmp_path: Path) -> None:
    rows = [{"problem": f"Q{at}?", "answer": str(at + 10)} for at in range(8)]
    (tmp_path / "amc23.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    content = evaluated(tiny_model, "signed_sum", "amc23", str(tmp_path), Questions(style="hashes"))
    assert "task" not in content["setup"]
    check_same(content, scored_again("out/tiny-amc23.jsonl"))
    free = scored_again("out/tiny-amc23.jsonl", "--extractor", "strict")
    assert free["models"]["sampled"]["accuracy"]["value"] == 0, "as somebody asks: the box"


def test_one_of_before_the_task_was_written(tiny_model: Path) -> None:
    content = evaluated(tiny_model, "running_total")
    del content["setup"]["task"]
    Path("out/tiny-running_total.json").write_text(json.dumps(content))
    check_same(content, scored_again("out/tiny-running_total.jsonl"))


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["eval", "--from-outputs", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "task.use=" in line or "--extractor lenient" in line or "score each apart" in line
    return line


def test_where_the_task_is_not_known_it_is_asked_for(
    tiny_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = evaluated(tiny_model, "signed_sum")
    file, beside = "out/tiny-signed_sum.jsonl", Path("out/tiny-signed_sum.json")
    beside.unlink()
    capsys.readouterr()
    assert "needs its .json beside it" in told(capsys, file)
    again = scored_again(file, "task.use=signed_sum", "task.operands=4")
    assert again["models"]["sampled"]["pass@k"] == content["sampled"]["pass@k"]
    assert scored_again(file, "--extractor", "lenient")["models"]["greedy"]["accuracy"]["value"] == 0
    capsys.readouterr()
    assert "is no problem of the task SignedSum" in told(capsys, file, "task.use=signed_sum")
    (tmp_path / "theirs.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    beside.write_text(json.dumps(content | {"setup": content["setup"] | {"task": {"use": "theirs:Task"}}}))
    assert "its task is theirs:Task, somebody's code, which runs only if named" in told(capsys, file)
    for name, other in (("task", {"use": "signed_sum", "operands": 5}), ("checker", {})):
        beside.write_text(json.dumps(content))
        changed = content | {"setup": content["setup"] | {name: other}}
        Path("out/other.json").write_text(json.dumps(changed))
        Path("out/other.jsonl").write_text(Path(file).read_text())
        assert f"have another {name} each" in told(capsys, file, "--from-outputs", "out/other.jsonl")


def test_samples_of_a_run_are_read_by_its_task(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    composed = compose_settings("x", settings(tiny_model, "signed_sum"))
    problems = composed.config.task.splits().train[:6]
    shown = {shown.problem.prompt: shown.chain for shown in composed.config.task.demonstrations(problems, 0)}
    scorer = make_scorer({}, composed.config.checker, composed.config.programs)
    engine = ScriptedEngine(lambda prompt, sample: shown[prompt] if sample else "none")
    pool = LocalPool(Worker(engine, scorer, composed.config.task.read))
    samples = pool.sample(problems, 2, sittings.sampled_params(composed.config), 0)
    pool.close()
    right = sum(sample.verdict.correct for sample in samples)
    assert 0 < right < 12
    Path("run/samples").mkdir(parents=True)
    Path("run/samples/step_000001.jsonl").write_text("".join(json.dumps(row(sample)) + "\n" for sample in samples))
    assert "needs the config.yaml of its run" in told(capsys, "run/samples/step_000001.jsonl")
    Path("run/config.yaml").write_text(composed.yaml())
    (report,) = scored_again("run/samples/step_000001.jsonl")["models"].values()
    assert report["accuracy"]["value"] == right / 12
    assert report["agreement"]["value"] == 1
    capsys.readouterr()
    Path("run/config.yaml").write_text("task: [")
    assert "config.yaml cannot be read" in told(capsys, "run/samples/step_000001.jsonl")
