"""A whole run whose episodes start from beginnings of demonstrations: what it leaves, and that it goes on."""

import json
import shutil
from pathlib import Path

import pytest

from tests.test_end_to_end import run, samples
from tests.test_readme import glossary

REVERSE = """
task: {use: signed_sum, demonstrations_size: 320}
model: {layers: 1, width: 32, heads: 2, context: 80}
warmup: {epochs: 0, ready_at: null}
sampling: {max_tokens: 30}
curriculum: {stages: 3}
algorithm: {use: grpo}
train: {steps: 2, prompts: 16, samples_per_prompt: 2, eval_every: 2, save_every: 1}
learner: {lr: 1.0e-3, threads: 1}
rollout: {workers: 1, shard_size: 8}
evaluate: {limit: 8, dev_limit: 8}
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curriculum")
    (folder / "reverse.yaml").write_text(REVERSE)
    done = run(folder, "run", "reverse.yaml", "run.dir=whole")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "whole.err").write_text(done.stderr)
    return folder / "whole"


def test_what_a_run_leaves(whole: Path) -> None:
    told = (whole.parent / "whole.err").read_text()
    assert "of 320 demonstrations are right and not too long" in told
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["phase"] == "reinforce"]
    for row in steps:
        assert 0 < row["curriculum/given"] < 1
        assert row["curriculum/whole_correct"] <= 1
        assert row["sampler/logprob_gap_max"] < 1e-4
        assert {name for name in row if "/" in name} - {"reward/correct"} <= glossary()
    for step, chains in samples(whole.parent, "whole").items():
        groups = {row["problem"]: {other["prefix"] for other in chains if other["problem"] == row["problem"]} for row in chains}
        assert {len(prefixes) for prefixes in groups.values()} == {1}, step
        assert all(row["chain"].startswith(row["prefix"]) for row in chains)
        assert {bool(row["prefix"]) for row in chains} == {True, False}


def test_evaluation_starts_from_whole_problems(whole: Path) -> None:
    for path in (whole / "eval").glob("*.jsonl"):
        assert {json.loads(line)["prefix"] for line in path.read_text().splitlines()} == {""}


def test_a_run_that_is_taken_up_again_draws_the_same(whole: Path) -> None:
    half = whole.parent / "half"
    shutil.copytree(whole, half)
    for path in (half / "checkpoints" / "step_000002", half / "tensorboard"):
        shutil.rmtree(path)
    for path in (half / "eval" / "reinforced.json", half / "summary.json"):
        path.unlink()
    done = run(whole.parent, "run", "reverse.yaml", "run.dir=half")
    assert done.returncode == 0, done.stderr[-3000:]
    assert samples(whole.parent, "half") == samples(whole.parent, "whole")
    assert (half / "eval" / "reinforced.jsonl").read_text() == (whole / "eval" / "reinforced.jsonl").read_text()
