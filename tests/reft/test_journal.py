"""What surrounds the loop: the best checkpoint is the best, and a run that goes on counts each step once."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from reft.compose import compose
from reft.config import TrainConfig
from reft.errors import RunError
from reft.flops import Cost
from reft.journal import RunJournal
from reft.meter import Meter
from reft.progress import Display
from reft.run import RunDirectory
from rewards.equal import Verdict
from rollout.types import Sample
from tests.reft.test_batch import sample

SCORES = [0.2, 0.6, 0.4, 0.6, 0.1]
METRICS = {
    "samples/tokens": 100.0, "samples/computed_tokens": 120.0, "samples/computed_pairs": 900.0, "samples/learnt_tokens": 80.0,
    "samples/learnt_pairs": 500.0, "reward/mean": 0.5, "answer/correct": 0.5, "chain/tokens_mean": 9.0,
}  # fmt: skip


class Policy:
    """A learner that can be saved."""

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text("{}")


def evaluation(pool: object) -> Mapping[str, float]:
    score = next(pool)  # type: ignore[call-overload]
    return {"dev/greedy": score, "dev/sampled": score, "dev/tokens_per_chain": 3.0}


def play(
    run: RunDirectory, policy: Policy, scores: Iterator[float], steps: int, fails_at: int | None = None, keep_best: int = 1
) -> RunJournal:
    settings = TrainConfig(steps=5, eval_every=1, save_every=2, samples_logged=0)
    journal = RunJournal(run, Display(), settings, 1, evaluation, keep_best=keep_best, meter=Meter(Cost(2, 1), epochs=1))
    for step in journal.steps(steps):
        with journal.timed("sample"):
            pass
        metrics = METRICS | journal.evaluate(step + 1, scores)
        journal.record(step + 1, metrics, [])
        if step + 1 == fails_at:
            return journal
        journal.save(step + 1, policy)
    return journal


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    with RunDirectory(tmp_path / "run", compose("quickstart")) as made:
        yield made


def test_the_best_step_is_kept_with_the_last(run: RunDirectory) -> None:
    play(run, Policy(), iter(SCORES), 5)
    assert run.state.best_step == 4, "of two that are as good, the later"
    assert run.state.best_value == pytest.approx(0.6)
    assert run.steps_saved() == [4, 5]
    assert run.state.tokens_sampled == 500


def test_counters_are_on_the_disk_with_each_checkpoint(run: RunDirectory) -> None:
    play(run, Policy(), iter(SCORES), 5)
    written = json.loads((run.path / "state.json").read_text())
    assert (written["best_step"], written["tokens_sampled"]) == (4, 500), "though nothing was closed"


def test_as_many_of_the_best_are_kept_as_are_wanted(run: RunDirectory) -> None:
    play(run, Policy(), iter([0.7, 0.2, 0.5, 0.4, 0.1]), 5, keep_best=3)
    assert run.steps_saved() == [1, 3, 4, 5], "the three best, and the last"


def test_what_a_checkpoint_takes_is_told_with_the_step_behind_it(run: RunDirectory) -> None:
    play(run, Policy(), iter(SCORES), 5)
    assert [row["step"] for row in run.rows("reinforce") if "time/save" in row] == [2, 3, 5], "1, 2, 4 and 5 were saved"
    assert all("time/sample" in row for row in run.rows("reinforce"))


def test_chains_that_a_reward_failed_for_are_written_though_they_come_late(run: RunDirectory) -> None:
    good = sample([5], [3], 1.0)
    bad = replace(good, reward=None, failures={"mine": "rewards.mine raised KeyError('oops')"})
    journal = RunJournal(run, Display(), TrainConfig(steps=1, eval_every=1, save_every=2, samples_logged=2), 1, evaluation)
    for step in journal.steps(1):
        with journal.timed("sample"):
            pass
        journal.record(step + 1, METRICS, [good, good, good, bad])
    rows = [json.loads(line) for line in (run.path / "samples" / "step_000001.jsonl").read_text().splitlines()]
    assert [row["failures"] for row in rows] == [{}, {}, {"mine": "rewards.mine raised KeyError('oops')"}]
    assert rows[2]["reward"] is None


def test_steps_that_come_again_are_counted(run: RunDirectory) -> None:
    play(run, Policy(), iter(SCORES), 5, fails_at=2)
    play(run, Policy(), iter(SCORES[1:]), 5, fails_at=5)
    assert run.state.steps_repeated == 1, "step 1 was the best, and saved; step 2 was not"
    play(run, Policy(), iter(SCORES), 5)
    assert run.state.steps_repeated == 2


def test_sigterm_in_sampling_saves_the_steps_before(run: RunDirectory) -> None:
    settings = TrainConfig(steps=9, eval_every=9, save_every=9, samples_logged=0)
    journal = RunJournal(run, Display(), settings, 1, evaluation)
    for step in journal.steps(9):
        with journal.timed("sample"):
            drawn = journal.attempt(step, lambda step=step: os.kill(os.getpid(), signal.SIGTERM) if step == 3 else "chains")
        if drawn is None:
            journal.save(step, Policy())
            break
        journal.record(step + 1, METRICS, [])
    assert journal.terminated
    assert journal.stopped_at == 3
    assert run.steps_saved() == [3]


def test_sigterm_before_anything_is_learnt_saves_nothing(run: RunDirectory) -> None:
    journal = RunJournal(run, Display(), TrainConfig(steps=9), 1, evaluation)
    for step in journal.steps(9):
        assert journal.attempt(step, lambda: os.kill(os.getpid(), signal.SIGTERM)) is None
        journal.save(step, Policy())
        break
    assert journal.terminated
    assert run.steps_saved() == []


def test_going_on_counts_what_is_done_again_once(run: RunDirectory) -> None:
    play(run, Policy(), iter([0.2, 0.5, 0.9]), 3, fails_at=3)  # ends before step 3 is saved
    assert run.state.tokens_sampled == 300
    play(run, Policy(), iter([0.4, 0.3, 0.1]), 5)
    assert [row["step"] for row in run.rows("reinforce")] == [1, 2, 3, 4, 5]
    assert run.state.tokens_sampled == 500
    assert (run.state.best_step, run.state.best_value) == (2, pytest.approx(0.5)), "0.9 was never saved"


def test_operations_add_up_to_those_of_a_run_that_was_never_stopped(run: RunDirectory) -> None:
    run.state.flops["warmup"] = 7.0
    play(run, Policy(), iter([0.2, 0.5, 0.9]), 3, fails_at=3)
    play(run, Policy(), iter([0.4, 0.3, 0.1]), 5)
    step = (2 * 120 + 900) + 3 * (2 * 80 + 500)
    assert [row["compute/flops"] for row in run.rows("reinforce")] == [7 + step * count for count in (1, 2, 3, 4, 5)]
    assert run.state.flops == {"warmup": 7.0, "reinforce": 5.0 * step}


def test_a_run_without_counts_of_operations_cannot_go_on(run: RunDirectory) -> None:
    run.log("reinforce", 1, {name: value for name, value in METRICS.items() if "computed" not in name})
    run.write_checkpoint("step_000001", Policy().save)
    with pytest.raises(RunError, match="begun by a version that did not count operations; choose another"):
        play(run, Policy(), iter(SCORES), 5)


def test_going_on_forgets_the_samples_of_steps_that_come_again(run: RunDirectory) -> None:
    play(run, Policy(), iter(SCORES), 2)
    for step in (2, 3, 4):
        run.write_samples(step, [sample([1], [2])])
    play(run, Policy(), iter(SCORES), 2)  # nothing is left to do, and nothing writes them again
    assert sorted(path.stem for path in run.path.glob("samples/*.jsonl")) == ["step_000001", "step_000002"]


def test_a_sampler_that_parts_from_the_learner_is_told_and_again_when_it_is_twice_as_far(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    gaps = [0.004, 0.0051, 0.0099, 0.0103, 0.02]
    journal = RunJournal(run, Display(), TrainConfig(steps=5, samples_logged=0), 1, evaluation)
    for step in journal.steps(len(gaps)):
        with journal.timed("sample"):
            pass
        journal.record(step + 1, METRICS | {"sampler/probability_gap_mean": gaps[step]}, [])
    told = [line.split()[2].rstrip(":") for line in capsys.readouterr().err.splitlines() if line.startswith("warning: step")]
    assert told == ["2", "4"]


def test_a_judge_that_parts_from_the_checker_is_told(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    journal = RunJournal(run, Display(), TrainConfig(samples_logged=0), 1, evaluation, judges=["wise"])

    def judged(value: float | None, outcome: str) -> Sample:
        return replace(sample([1], [2]), rewards={"wise": value}, verdict=Verdict(outcome, "text", ""))

    agreed = [judged(1.0, "equal"), judged(0.0, "different"), judged(None, "equal"), judged(1.0, "undecided")]
    for step, samples in enumerate((agreed, [*agreed, judged(1.0, "different")]), start=1):
        with journal.timed("sample"):
            pass
        journal.record(step, METRICS, samples)
        assert ("judged and true reward part" in capsys.readouterr().err) == (step == 2)
    assert [row["agreement/wise"] for row in run.rows("reinforce")] == [1.0, pytest.approx(2 / 3)]
