"""What a run says of itself at its end."""

from pathlib import Path

import pytest

from reft.compose import compose
from reft.paired import compare, mcnemar
from reft.run import RunDirectory
from reft.session import Session
from reft.summary import print_outputs, print_pair, print_summary, summarise_run

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


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"1": 1, "8": 12}, "1 has 1, 12 have 8; pass@k and maj@k are told up to the fewest, 1, and left out for k = 2, 4, 8"),
        ({str(n): 2 for n in range(1, 10)}, "2 have 1, 2 have 2, 2 have 3, 2 have 4, …, 2 have 9; "),
    ],
)
def test_uneven_numbers_of_samples_are_told(capsys: pytest.CaptureFixture[str], counts: dict[str, int], told: str) -> None:
    report = {"problems": 13, "samples": 97, "unscored": {"count": 0}, "accuracy": ESTIMATE}
    content = {"outputs": ["x"], "form": "y", "file": "z"}
    print_outputs({**content, "models": {"": report}})
    assert "different numbers" not in capsys.readouterr().out
    uneven = {"problems_by_samples": counts, "left_out": [2, 4, 8]}
    for flawed in (report | {"uneven": uneven}, report | {"labelled": {"uneven": uneven}}):
        print_outputs({**content, "models": {"": flawed}})
        assert f"problems have different numbers of samples: {told}" in capsys.readouterr().out


def test_a_p_is_never_told_as_zero(capsys: pytest.CaptureFixture[str]) -> None:
    content = {"checkpoint": "a", "against": "b", "benchmark": "c", "problems": 4_000, "file": "d"}
    for few, told in ((1_900, "p = 0.0016 ("), (0, "p ≤ 1e-300 (")):
        found = {"difference": ESTIMATE, "first_only": few, "second_only": 4_000 - few}
        exact = found | {"p": mcnemar(few, 4_000 - few), "test": "McNemar, exact"}
        drawn = compare([0.5] * 40, [1.0 if few else 0.5] * 20 + [1.0] * 20, 0)
        print_pair({**content, "greedy": exact, "sampled": found | {"p": drawn.p, "test": drawn.test}})
        greedy, sampled = capsys.readouterr().out.splitlines()[1:3]
        assert told in greedy
        assert "p ≤ 0.0001 (random signs, 10000)" in sampled, "no draw was as far"


class Pool:
    """One that has replaced some workers."""

    def __init__(self, restarts: int) -> None:
        self.restarts = restarts

    def close(self) -> None:
        """Nothing to end."""
