"""The command line as its users meet it: cheap help, one line for an error, status 2, nothing left behind."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from reft.cli import COMMANDS, main
from reft.examine import places_of
from reft.files import build_folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test types its commands in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    source = "import sys, reft.cli; print(reft.cli.build_parser().format_help()); print(*sys.modules)"
    text = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert all(command in text for command in COMMANDS)
    heavy = {"torch", "ray", "transformers", "deepspeed", "trl", "datasets", "sympy", "mpmath", "omegaconf", "rich", "numpy"}
    assert heavy & set(text.split()) == set()


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command ends with, after checking that it is one line, status 2, and nothing written."""
    before = set(Path().rglob("*"))
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if not line.startswith(("quickstart,", "mine,", "task "))]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("reft: ")
    assert "Traceback" not in captured.err
    assert {path for path in set(Path().rglob("*")) - before if path.name != "__pycache__" and path.suffix != ".pyc"} == set()
    return lines[0]


REFT_RECORD = {"question": "one?", "answer_cot": "one", "answer_value": "1"}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["train.stepz=3"], r"Did you mean: 'steps'"),
        (["train.steps=lots"], r"train.steps"),
        (["sampling.top_p=0.9"], r"sampling.top_p: training learns from the policy's own .* there is evaluate.top_p"),
        (["evaluate.top_p=0"], r"evaluate.top_p=0.0 is out of range; choose more than 0"),
        (["evaluate.min_p=1.5"], r"evaluate.min_p=1.5 is out of range; choose 1 or less"),
        (["sampling.temperature=-1"], r"sampling.temperature=-1.0 is out of range"),
        (["task.operands=50"], r"task.operands=50 is out of range"),
        (["sampling.max_tokens=500"], r"sampling.max_tokens=500.*80 positions"),
        (["learner.gpus=1"], r"learner.gpus asks for 1 GPUs and this machine has 0; set learner.gpus=0"),
        (["rollout.gpus=1"], r"rollout.gpus asks for 2 GPUs"),
        (["model.path=no/such/model"], r"'no/such/model' is neither a checkpoint folder nor a hub model"),
        (["model.path=."], r"no checkpoint: it has no config.json"),
        (["model.architecture=gpt9"], r"model.architecture='gpt9' is unknown"),
        (["ray.address=127.0.0.1:1"], r"ray.address=127.0.0.1:1 does not answer"),
        (["ray.address=nonsense"], r"ray.address='nonsense' is no address"),
        (["rewards.mine.use=no_such_module:f"], r"rewards.mine.use: cannot import 'no_such_module'"),
        (["rewards.mine.use=plug_in:absent"], r"names no function"),
        (["rewards.mine.use=plug_in:narrow"], r"rewards.mine: plug_in:narrow does not fit"),
        (["rewards.mine.use=plug_in:short"], r"rewards.mine returned 0 values for 1"),
        (["rewards.mine.use=plug_in:broken"], r"rewards.mine raised ZeroDivisionError"),
        (["run.dir=plug_in.py"], r"run.dir=plug_in.py is a file"),
        (["run.dir=."], r"has files but no run in it"),
        (["warmup.batch_size=63", "learner.ranks=2"], r"warmup.batch_size=63 is no multiple of learner.ranks=2"),
    ],
)
def test_wrong_runs(capsys, here: Path, overrides: list[str], told: str) -> None:
    (here / "plug_in.py").write_text(
        "def narrow(completions): return [0.0]\ndef short(**columns): return []\ndef broken(**columns): return 1 / 0\n"
    )
    line = failing(capsys, "run", "quickstart", *overrides)
    assert re.search(told, line), line


@pytest.mark.slow
def test_a_cluster_that_is_mute(capsys) -> None:
    """It takes connections, as a process that is stopped does. Ray would ask it for minutes."""
    start = time.monotonic()
    with socket.create_server(("", 0)) as mute:
        address = f"ray.address=127.0.0.1:{mute.getsockname()[1]}"
        assert f"{address} does not answer as a Ray cluster" in failing(capsys, "run", "quickstart", address)
    assert time.monotonic() - start < 120, "one attempt of Ray's takes 41 s"
    assert "RAY_gcs_server_port_wait_time_s" not in os.environ


@pytest.mark.parametrize(
    ("record", "settings", "told"),
    [
        ({"question": "x"}, [], r"data.jsonl:1: there is no field 'answer_value'; the record has question"),
        ({"question": "x", "answer_cot": "y", "answer_value": "one"}, ["task.numeric=true"], r"'one' is no number"),
        (None, [], r"data.jsonl is empty"),
        (REFT_RECORD, ["task.train=absent.jsonl"], r"absent.jsonl: No such file"),
        (REFT_RECORD, [], r"the (dev|test) split of task 'jsonl' is empty"),
    ],
)
def test_wrong_data(capsys, here: Path, record: dict | None, settings: list[str], told: str) -> None:
    (here / "data.jsonl").write_text("" if record is None else json.dumps(record))
    (here / "mine.yaml").write_text("task: {use: jsonl, train: data.jsonl}\nmodel: {context: 512}\n")
    line = failing(capsys, "run", "mine.yaml", *settings)
    assert re.search(told, line), line


def test_wrong_words(capsys) -> None:
    assert "no file" in failing(capsys, "run", "quickstrat")
    assert "no checkpoint" in failing(capsys, "sample", "nowhere")
    assert "no checkpoint" in failing(capsys, "eval", "nowhere")
    assert "needs a config" in failing(capsys, "check")
    with pytest.raises(SystemExit) as caught:
        main(["fly"])
    assert caught.value.code == 2


def test_a_damaged_checkpoint_is_not_evaluated(capsys, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")

    def fill(folder: Path) -> None:
        (folder / "config.json").write_text("{}")

    build_folder(tmp_path / "run" / "checkpoints" / "step_000001", fill)
    (tmp_path / "run" / "checkpoints" / "step_000001" / "config.json").write_text("[]")
    for command in ("eval", "sample"):
        told = failing(capsys, command, "run/checkpoints/step_000001")
        assert "step_000001 is damaged (config.json has other content than was written)" in told


def test_debug_shows_the_traceback() -> None:
    from reft.errors import ConfigError

    with pytest.raises(ConfigError):
        main(["check", "quickstrat", "--debug"])


def test_a_bug_says_how_to_see_more(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> int:
        raise RuntimeError("surprise")

    monkeypatch.setattr("reft.commands.doctor", broken)
    assert "RuntimeError: surprise; run again with --debug" in failing(capsys, "doctor")


def test_a_full_disk_is_one_line(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device", "runs/x/metrics.jsonl")

    monkeypatch.setattr("reft.commands.doctor", full)
    assert (
        failing(capsys, "doctor")
        == "reft: runs/x/metrics.jsonl: No space left on device; free some space, then the same command starts anew"
    )


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_an_error_in_a_thread_is_a_line_unless_one_debugs(capsys, monkeypatch: pytest.MonkeyPatch, debug: list[str]) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    def start(*arguments: object) -> int:
        thread = threading.Thread(target=full, name="writer")
        thread.start()
        thread.join()
        return 0

    tracebacks: list[object] = []
    monkeypatch.setattr(threading, "excepthook", tracebacks.append)
    monkeypatch.setattr("reft.commands.doctor", start)
    assert main(["doctor", *debug]) == 0
    told = capsys.readouterr().err
    assert len(tracebacks) == len(debug)
    assert told == ("" if debug else "reft: in thread writer: OSError(28, 'No space left on device')\n")
    assert threading.excepthook == tracebacks.append, "as it was before"


def test_check_prints_the_arithmetic(capsys) -> None:
    assert main(["check", "quickstart", "train.steps=3", "train.prompts=10", "train.samples_per_prompt=4"]) == 0
    text = capsys.readouterr().out
    assert "3 steps × 10 prompts × 4 samples → 120 chains" in text
    assert "12 optimizer steps of 20 chains" in text
    assert "config hash" in text


def test_settings_may_stand_anywhere(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr("reft.commands.evaluate", lambda *given: found.append(given) or 0)
    assert main(["eval", "x", "seed=1", "--vote", "4", "evaluate.limit=5", "--rerank", "evaluate.samples=2"]) == 0
    assert found == [(Path("x"), ["seed=1", "evaluate.limit=5", "evaluate.samples=2"], "test", 4, True)]
    for wrong in (
        ["eval", "x", "--votes", "4"],
        ["eval", "x", "--vote", "4", "five"],
        ["sample", "x", "a=b"],
        ["doctor", "a=b"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
        assert "unrecognized arguments: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["eval"], "eval needs a checkpoint"),
        (["eval", "x", "--data", "folder"], "--data needs --on NAME beside it: benchmarks such as gsm8k"),
        (["eval", "x", "--against", "y"], "--against needs --on NAME beside it: benchmarks such as gsm8k"),
        (["eval", "x", "--out", "y"], "--out needs --on NAME beside it"),
        (["eval", "x", "--budget", "4"], "--budget is of a strategy; add --strategy NAME"),
        (
            ["eval", "x", "--strategy", "vote", "--budget", "4,0"],
            "--budget 4,0: '0' is no whole number above 0; write",
        ),
        (["eval", "x", "--strategy", "vote", "--budget", "4"], "x is no checkpoint: it has no config.json"),
        (
            ["eval", "x", "--strategy", "vote", "--on", "gsm8k", "--against", "y"],
            "--against is not of strategies",
        ),
        (["eval", "x", "--strategy", "vote", "--vote", "4"], "--vote is not of strategies; leave it out"),
        (["eval", "x", "--strategy", "vote", "--data", "y"], "--data needs --on NAME beside it"),
        (["eval", "x", "--on", "gsm8k", "--split", "dev"], "--split is of tasks, and gsm8k have one set of problems each"),
        (
            ["eval", "x", "--on", "signed_sum", "--prompt", "{question}"],
            "--prompt is of benchmarks, and signed_sum",
        ),
        (["eval", "x", "--on", "gsm8k", "--vote", "4"], "--vote and --rerank are not of benchmarks"),
        (["eval", "nowhere/at/all", "--on", "gsm9k"], "--on 'gsm9k' is no known benchmark; there are: gsm8k"),
        (
            ["eval", "x", "--on", "aime24,signed_sum,aime25", "--data", __file__],
            "test_cli.py is one file, and aime24 and aime25 are several; name a folder of theirs",
        ),
        (["eval", ".", "--on", "gsm8k"], ". is no checkpoint: it has no config.json"),
        (["eval", "x", "--from-outputs", "y.jsonl"], "--from-outputs scores what is saved, so x has no place beside it"),
        (["eval", "--from-outputs", "y", "--against", "x"], "so --against has no place beside it; leave it out"),
        (["eval", "--from-outputs", "y", "--split", "test"], "so --split has no place beside it; leave it out"),
        (["eval", "--from-outputs", "y", "--data", "x"], "so --data has no place beside it; leave it out"),
        (["eval", "--from-outputs", "y", "--prompt", "x"], "so --prompt has no place beside it; leave it out"),
        (["eval", "--from-outputs", "y", "--rerank"], "so --rerank has no place beside it; leave it out"),
        (["eval", "--from-outputs", "nowhere.jsonl"], "--from-outputs nowhere.jsonl: No such file"),
        (["eval", "--from-outputs", "nowhere.jsonl", "--extractor", "boxed"], "--extractor boxed does not suit"),
    ],
)
def test_wrong_words_of_evaluation(capsys, here: Path, words: list[str], told: str) -> None:
    assert told in failing(capsys, *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--budget", "4"], "--budget is of a strategy; add --strategy NAME"),
        (["--strategy", "vote", "--samples", "3"], "--samples is not of --strategy vote, which has --budget; leave one out"),
        (["--strategy", "vote", "--budget", "0"], "--budget 0 is out of range; choose 1 or more"),
        (["--prompt", " "], "--prompt is empty; give it a text to think about"),
        (["-n", "2", "--problem", "3"], "-n is how many problems are drawn, and --problem names one; leave one of them out"),
        (["-n", "2", "--prompt", "a"], "-n is how many problems are drawn, and --prompt names one; leave one of them out"),
        (["--prompt", "a", "--problem", "3"], "--prompt and --problem each say what to think about"),
        (["-n", "0"], "-n 0 --samples 2 is out of range"),
        (["--task", "signed_sum", "--config", "quickstart"], "--task and --config each say what judges answers; leave one out"),
        (
            ["--task", "gsm8k"],
            "--task 'gsm8k' is none of those that are made here: running_total, signed_sum,",
        ),
        (["--config", "absent"], "no file"),
        ([], "lies in no run directory, so its task is not known; name what asks it and judges its answers by --task NAME"),
        (["--prompt", "a", "--strategy", "vote"], "lies in no run directory, so its task is not known"),
    ],
)
def test_wrong_words_of_samples(capsys, tiny_model: Path, words: list[str], told: str) -> None:
    assert told in failing(capsys, "sample", str(tiny_model), *words)


def test_saved_outputs_are_scored(capsys, here: Path) -> None:
    rows = [{"id": at, "gold": "2", "prediction": f"\\boxed{{{at}}}", "expected": at == 2} for at in range(4)]
    (here / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["eval", "--from-outputs", "mine.jsonl", "seed=3"]) == 0
    assert "0.250 [" in capsys.readouterr().out
    content = json.loads((here / "eval" / "mine-outputs.json").read_text())
    assert content["setup"]["seed"] == 3
    assert content["models"][""]["accuracy"]["n"] == 4
    assert len((here / "eval" / "mine-outputs.jsonl").read_text().splitlines()) == 4


def test_saved_outputs_are_not_overwritten(capsys, here: Path) -> None:
    row = json.dumps({"id": 1, "gold": "2", "prediction": "\\boxed{2}"})
    for name in ("mine", "mine-outputs"):
        (here / "eval").mkdir(exist_ok=True)
        (here / "eval" / f"{name}.jsonl").write_text(f"{row}\n")
    both = ["--from-outputs", "eval/mine.jsonl", "--from-outputs", "eval/mine-outputs.jsonl"]
    assert "eval/mine-outputs.jsonl would be overwritten" in failing(capsys, "eval", *both)
    assert main(["eval", "--from-outputs", "eval/mine.jsonl"]) == 0
    assert (here / "eval" / "mine.jsonl").read_text() == f"{row}\n"


def test_two_folders_of_one_name_have_reports_of_their_own(here: Path) -> None:
    for name in ("a/model", "b/model"):
        (here / name).mkdir(parents=True)
    (first, one), (second, other) = places_of(["a/model", "b/model"], "out")
    assert first == second == here / "out"
    assert one != other
    assert [name for _, name in places_of(["a/model", "b/other"], None)] == ["model", "other"]


def test_check_counts_what_rounds_may_sample(capsys) -> None:
    assert main(["check", "star_signed_sum", "self_training.prompts=99999", "self_training.growth=1.2"]) == 0
    text = capsys.readouterr().out
    assert "3 rounds × 2,025 prompts × 4 samples → 24,300 chains, and as many again at most with a hint" in text
    assert f"at most {2 * 24_300 * 55:,} tokens sampled" in text, "no more prompts than there are"
    assert "× 4 epochs of what is kept, 1.2 times as many each round" in text


def test_check_defaults_and_doctor(capsys) -> None:
    assert main(["check", "--defaults"]) == 0
    assert "temperature: 1.0" in capsys.readouterr().out
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "torch" in text
    assert "MISSING" not in text
