"""What a run says of itself at its end."""

from pathlib import Path

import pytest

from reft.compose import compose
from reft.run import RunDirectory
from reft.session import Session
from reft.summary import print_summary, summarise_run

ESTIMATE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 40}
RATES = dict.fromkeys(
    ("tries_per_chain", "repeated_tries", "valid", "verdict_error", "trace_error", "no_answer", "truncated"), 0.25
)
REPORT = {mode: {"accuracy": ESTIMATE, "tokens_per_chain": 12.5, **RATES} for mode in ("greedy", "sampled")}


@pytest.mark.parametrize(
    ("restarts", "repeated", "told"),
    [
        (0, 0, None),
        (2, 0, "outlived: 2 × rollout worker replaced\n"),
        (1, 3, "outlived: 1 × rollout worker replaced, 3 × step done again\n"),
    ],
)
def test_what_a_run_has_outlived_is_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], restarts: int, repeated: int, told: str | None
) -> None:
    composed = compose("quickstart")
    with RunDirectory(tmp_path / "run", composed) as run:
        run.write_json("eval/warmup.json", REPORT)
        run.state.steps_repeated = repeated
        session = Session.__new__(Session)
        session.run, session._gang = run, None
        session._pool = Pool(restarts)  # type: ignore[assignment]
        session.close()
        content = summarise_run(run, composed)
    assert content["faults"] == {"worker_restarts": restarts, "learner_restarts": 0, "steps_repeated": repeated}
    print_summary(content)
    printed = capsys.readouterr().out
    assert told in printed if told else "outlived:" not in printed


class Pool:
    """One that has replaced some workers."""

    def __init__(self, restarts: int) -> None:
        self.restarts = restarts

    def close(self) -> None:
        """Nothing to end."""
