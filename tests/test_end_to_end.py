"""Whole runs on Ray and DeepSpeed, small: what they leave, that workers change nothing, that they stop and go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.test_readme import glossary

SMALL = """
task: {use: signed_sum, demonstrations_size: 640}
model: {layers: 1, width: 32, heads: 2, context: 80}
warmup: {epochs: 3, batch_size: 64, lr: 3.0e-3, ready_at: null}
sampling: {max_tokens: 30}
algorithm: {use: reft, minibatches: 2}
train: {steps: 4, prompts: 32, samples_per_prompt: 2, eval_every: 2, save_every: 2}
learner: {lr: 1.0e-4, threads: 1}
rollout: {shard_size: 8}
evaluate: {limit: 40, dev_limit: 20, samples: 2}
"""


def command(folder: Path, *words: str) -> list[str]:
    (folder / "small.yaml").write_text(SMALL)
    return [sys.executable, "-m", "reft", *words]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    return subprocess.run(
        command(folder, *words), cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )


def samples(folder: Path, name: str) -> dict[str, list[dict]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted((folder / name / "samples").glob("*.jsonl"))
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def one(folder: Path) -> Path:
    """A complete run with one worker."""
    done = run(folder, "run", "small.yaml", "run.dir=one", "rollout.workers=1")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "one.out").write_text(done.stdout)
    return folder / "one"


def test_the_table_and_the_summary(one: Path) -> None:
    text = (one.parent / "one.out").read_text()
    for words in (
        "accuracy, greedy",
        "accuracy, sampled",
        "tokens per chain",
        "wall time",
        "Everything is in one",
        "reft sample one/",
    ):
        assert words in text
    summary = json.loads((one / "summary.json").read_text())
    for stage in ("warmup", "reinforced"):
        for mode in ("greedy", "sampled"):
            estimate = summary[stage][mode]
            assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1
            assert estimate["n"] == 40
        assert summary[stage]["tokens_per_chain"] > 1
    seconds = summary["seconds"]
    assert set(seconds) == {"startup", "warmup", "reinforce", "evaluate", "total"}
    assert all(value > 0 for value in seconds.values())
    assert seconds["total"] == pytest.approx(sum(value for name, value in seconds.items() if name != "total"))
    assert 10**8 < summary["peak_memory_bytes"] < 6 * 2**30
    assert summary["tokens_sampled"] > 0
    rows = [json.loads(line) for line in (one / "metrics.jsonl").read_text().splitlines()]
    spent = sum(row[f"compute/{part}"] for row in rows for part in ("sample", "score", "update") if f"compute/{part}" in row)
    assert 0 < spent < summary["training_flops"] == rows[-1]["compute/flops"], "the warm-up's are in it"
    assert summary["reinforced"]["flops_per_query"] > 1e4
    assert summary["seed"] == 0
    assert len(summary["config_hash"]) == 12


def test_the_files(one: Path) -> None:
    rows = [json.loads(line) for line in (one / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["phase"] == "reinforce"]
    assert [row["step"] for row in steps] == [1, 2, 3, 4]
    assert any(row["phase"] == "warmup" for row in rows)
    assert all(row["policy/ratio_deviation_first"] <= 1e-4 for row in steps)
    assert all(row["sampler/logprob_gap_max"] < 1e-4 for row in steps)
    assert all("dev/greedy" in row for row in steps if row["step"] % 2 == 0)
    assert list((one / "tensorboard").glob("events*"))
    (record, *_) = samples(one.parent, "one")["step_000001"]
    assert record["prompt"].endswith("?")
    assert record["verdict"] in ("equal", "different", "undecided", "no_answer")
    assert json.loads((one / "environment.json").read_text())["packages"]["ray"]


def test_the_glossary_has_every_metric_and_no_other(one: Path) -> None:
    rows = [json.loads(line) for line in (one / "metrics.jsonl").read_text().splitlines()]
    names = {name for row in rows for name in row if "/" in name}
    recorded = {re.sub(r"_bin_\d", "_bin_N", name.replace("reward/correct", "reward/NAME")) for name in names}
    single = ("agreement/NAME", "group/without_signal", "kl/coef")
    # Of right chains, which a policy like this has none of, and of problems that differ; tests/reft/test_session.py has them.
    differing = ("chain/tokens_right", "dev/tokens_right", "dev/tokens_bin_N")
    parts = ("round/", "curriculum/", "imitation/")
    elsewhere = {name for name in glossary() if name in (*single, *differing) or name.startswith(parts)} - recorded
    assert recorded == {name for name in glossary() if "/" in name} - elsewhere
    report = json.loads((one / "eval" / "reinforced.json").read_text())["sampled"]
    assert report.keys() - glossary() == set()


def test_checkpoints_are_what_transformers_loads(one: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for name in ("warmup", "step_000004"):
        model = AutoModelForCausalLM.from_pretrained(one / "checkpoints" / name)
        tokens = AutoTokenizer.from_pretrained(one / "checkpoints" / name)("a 5 b 3 c 4 > 4 ?", return_tensors="pt")
        assert model.generate(**tokens, max_new_tokens=3, do_sample=False).shape[1] == 12


def test_a_second_run_on_the_same_folder_shows_the_result(one: Path) -> None:
    begun = time.monotonic()
    again = run(one.parent, "run", "small.yaml", "run.dir=one", "rollout.workers=1")
    assert again.returncode == 0
    assert "This run is complete" in again.stderr
    assert again.stdout == (one.parent / "one.out").read_text()
    assert time.monotonic() - begun < 10, "nothing is started for it"


def test_another_config_on_the_same_folder_is_refused(one: Path) -> None:
    other = run(one.parent, "run", "small.yaml", "run.dir=one", "train.steps=9")
    assert other.returncode == 2
    assert "train.steps=4, not 9" in other.stderr


def test_two_workers_draw_the_same_samples(one: Path) -> None:
    done = run(one.parent, "run", "small.yaml", "run.dir=two", "rollout.workers=2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert samples(one.parent, "two") == samples(one.parent, "one")
    left, right = (json.loads((one.parent / name / "summary.json").read_text()) for name in ("one", "two"))
    assert left["reinforced"] == right["reinforced"]
    assert usage(one.parent / "two") == usage(one), "what that took, too, but for time"


def usage(path: Path) -> list[tuple[float, ...]]:
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    names = ("rollout/steps", "rollout/occupancy", "rollout/padding")
    return [tuple(row[name] for name in names) for row in rows if row["phase"] == "reinforce"]


@pytest.mark.parametrize(
    ("name", "settings", "gap"),
    [
        ("gradients", ["learner.zero=2"], 1e-4),
        ("parameters", ["learner.zero=3", "model.critic=separate", "model.dtype=bfloat16"], 0.5),
    ],
)
def test_two_ranks_with_partitioned_state(one: Path, name: str, settings: list[str], gap: float) -> None:
    done = run(one.parent, "run", "small.yaml", f"run.dir={name}", "rollout.workers=1", "learner.ranks=2", *settings)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in (one.parent / name / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["phase"] == "reinforce"]
    assert [row["step"] for row in steps] == [1, 2, 3, 4]
    assert all(0 <= row["sampler/logprob_gap_max"] < gap for row in steps)


def test_eval_and_sample(one: Path) -> None:
    done = run(one.parent, "eval", "one/checkpoints/step_000004", "evaluate.limit=10", "--split", "dev")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "n = 10" in done.stdout
    content = json.loads((one / "eval" / "step_000004-dev.json").read_text())
    assert content["greedy"]["accuracy"]["n"] == 10
    shown = run(one.parent, "sample", "one/checkpoints/step_000004", "-n", "2", "--samples", "1")
    assert shown.returncode == 0, shown.stderr[-3000:]
    assert shown.stdout.count("greedy") == shown.stdout.count("sampled") == 2
    own = run(one.parent, "sample", "one/checkpoints/step_000004", "--prompt", "a 1 b 1 c 1 > 1 ?", "--samples", "1")
    assert own.returncode == 0, own.stderr[-3000:]
    wrong = run(one.parent, "sample", "one/checkpoints/step_000004", "--prompt", "what is love ?")
    assert wrong.returncode == 2
    assert "vocabulary" in wrong.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_saves_and_the_same_command_goes_on(folder: Path, number: signal.Signals, status: int) -> None:
    name = f"stopped-{number.name}"
    words = command(
        folder, "run", "small.yaml", f"run.dir={name}", "train.steps=60", "train.eval_every=60", "train.save_every=60"
    )
    process = subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    metrics = folder / name / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and '"reinforce"' in metrics.read_text()):
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGTERM:
        os.killpg(process.pid, number)  # as `timeout` does it, and service managers
    else:
        process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == status, text[-3000:]
    assert (f"go on with: reft run small.yaml run.dir={name}" if status else "SIGTERM: stopped and saved") in text
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, "processes were left running"
    done_steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines() if '"reinforce"' in line]
    assert (folder / name / "checkpoints" / f"step_{done_steps[-1]:06d}" / "config.json").is_file()
    assert done_steps[-1] < 60
    ranks = [] if status else ["learner.ranks=2", "learner.zero=2"]
    again = run(folder, *words[3:], *ranks)
    assert again.returncode == 0, again.stderr[-3000:]
    assert again.stderr.count("sums are made in another order now") == len(ranks)
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines() if '"reinforce"' in line]
    assert steps == list(range(1, 61)), "each step stands once"


def test_a_warm_up_that_is_not_ready_stops_the_run(folder: Path) -> None:
    done = run(folder, "run", "small.yaml", "run.dir=unready", "warmup.ready_at=0.99", "warmup.epochs=0.2")
    assert done.returncode == 2
    assert "the warm-up is not ready" in done.stderr
    assert "warmup.force=true" in done.stderr
    forced = run(
        folder,
        "run",
        "small.yaml",
        "run.dir=unready",
        "warmup.ready_at=0.99",
        "warmup.epochs=0.2",
        "warmup.force=true",
        "train.steps=4",
    )
    assert forced.returncode == 0, forced.stderr[-3000:]


@pytest.mark.slow
def test_chains_end_at_texts_in_training_and_in_evaluation(folder: Path) -> None:
    done = run(folder, "run", "small.yaml", "run.dir=ended", "rollout.workers=1", "sampling.stop=[ok,x]", "train.steps=2")
    assert done.returncode == 0, done.stderr[-3000:]
    evaluated = [json.loads(line) for line in (folder / "ended" / "eval" / "reinforced.jsonl").read_text().splitlines()]
    for rows in (*samples(folder, "ended").values(), evaluated):
        found = [row for row in rows if {"ok", "x"} & set(row["chain"].split())]
        assert len(found) > len(rows) / 4
        assert all(row["finish"] == "stop" and row["chain"].split()[-1] in ("ok", "x") for row in found)
        assert not {"ok", "x"} & {word for row in rows for word in row["chain"].split()[:-1]}
    shown = run(folder, "sample", "ended/checkpoints/step_000002")
    assert shown.returncode == 0, shown.stderr[-3000:]
    assert not re.search(r"(greedy|sampled) .* (ok|x) ", shown.stdout)
    assert re.search(r"(greedy|sampled) .* (ok|x)\n.*ended by stop\n", shown.stdout)
