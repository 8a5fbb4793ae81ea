"""What a run's files say of its cost, whatever is damaged in them."""

import json
from pathlib import Path

from reft.ledger import read_metrics, read_state, training_flops


def test_what_each_checkpoint_has_cost(tmp_path: Path) -> None:
    rows = [
        {"phase": "warmup", "step": 3, "compute/flops": 5.0},
        {"phase": "reinforce", "step": 1, "compute/flops": 9.0},
        {"phase": "reinforce", "step": 2},
        {"phase": "self_training", "step": 1, "compute/flops": 11.0},
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines[:2], "{", '{"phase": "reinforce"}', *lines[2:]]))
    (tmp_path / "state.json").write_text('{"flops": {"warmup": 7, "reinforce": 2}}')
    notes: list[str] = []
    metrics = read_metrics(tmp_path, notes)
    assert {phase: len(found) for phase, found in metrics.items()} == {"warmup": 1, "reinforce": 2, "self_training": 1}
    damaged, misfit = notes
    assert "1 lines are damaged" in damaged
    assert "line 4: step is missing" in misfit
    assert training_flops(metrics, read_state(tmp_path, notes)) == {"warmup": 7.0, "step_000001": 9.0, "round_001": 11.0}
    assert training_flops(read_metrics(tmp_path / "nowhere", notes), read_state(tmp_path / "nowhere", notes)) == {}
    assert len(notes) == 2


def test_a_study_asks_the_ledger_and_no_page() -> None:
    source = (Path(__file__).parents[2] / "reft" / "chain_study.py").read_text()
    assert "reft.report" not in source
