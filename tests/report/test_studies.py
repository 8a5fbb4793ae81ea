"""What the page says of studies of chains."""

import json
import math
from pathlib import Path

import pytest

from reft.chain_lengths import ALLOWED_GROWTH
from reft.report.command import unstudied
from reft.report.page import build_page
from reft.report.read import read_run
from reft.report.studies import usefulness
from tests.report.runs import write_run


def test_charts_and_tables_say_what_was_found(tmp_path: Path) -> None:
    found = usefulness([read_run(write_run(tmp_path / "run"), "run")])
    assert found is not None
    use, length = found["charts"]
    assert [one["name"] for one in use["series"]] == ["warmup", "step_000020"], "in the order of what they have cost"
    assert use["series"][0]["x"] == {"x": ["steps as they were", "no steps", "false value gone on from"]}
    assert use["series"][0]["y"] == [0.9, 0.2, 0.95]
    assert use["series"][0]["n"] == [100, 60, 200]
    assert use["side"] == "share", "the last one is no accuracy"
    assert length["series"][1]["x"] == {"x": [1.0, 3.0]}
    scaling, gain, content = found["tables"][:3]
    (first, second) = scaling["rows"]
    assert first[:5] == ["warmup", "wait", "8", "+0.500 [+0.431, +0.569]", "15.0"]
    assert first[5].startswith("0.250 [")
    assert second[:5] == ["step_000020", "nothing goes beyond it", "", "", "24.0"]
    assert "is a loss" in scaling["note"]
    assert [cell.split(" [")[0] for cell in gain["rows"][0]] == ["step_000020 on warmup", "+0.650", "+0.050", "+0.600"]
    assert [row[0].split(",")[0] for row in content["rows"]] == ["repeated tries", "right answer by a wrong step"]


def test_of_several_studies_of_a_checkpoint_the_largest_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    found = usefulness([read_run(run, "run")])
    study = json.loads((run / "eval" / "chains-warmup-test.json").read_text())
    study["settings"] = {"problems": 200, "n": 4, "budget": 8}
    (run / "eval" / "chains-warmup-test.json").write_text(json.dumps(study))
    study["settings"]["problems"] = 20
    (run / "eval" / "chains-warmup-test-limit20.json").write_text(json.dumps(study))
    assert usefulness([read_run(run, "run")]) == found


def test_tables_say_what_the_terminal_says(tmp_path: Path) -> None:
    found = usefulness([read_run(write_run(tmp_path / "run"), "run")])
    assert found is not None
    rows = {table["title"]: table["rows"] for table in found["tables"]}
    for table in found["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
        assert max(table["numbers"]) < len(table["columns"])
    cost = rows["What alterations cost"]
    assert [row[0] for row in cost] == ["warmup", "step_000020"], "of what can be held against the same chains alone"
    assert cost[0][1:3] == ["no steps", "-0.600 [-0.662, -0.537]"]
    assert [cell.split(" [")[0] for cell in cost[0][3:]] == ["0.800", "0.200", "60"]
    together = [[cell.split(" [")[0] for cell in row] for row in rows["Gain of one chain on several that take as many tokens"]]
    assert together == [
        ["warmup", "natural length", "one-try chains", "+0.100", "–", "+0.050", "24.0", "20.0"],
        ["", "made to go on, 4", "whole chains", "+0.150", "–", "–", "24.0", "20.0"],
        ["step_000020", "natural length", "one-try chains", "+0.100", "–", "+0.050", "24.0", "20.0"],
        ["", "made to go on, 4", "whole chains", "+0.150", "–", "–", "24.0", "20.0"],
        ["", "natural length", "one-try chains of warmup", "+0.100", "–", "–", "24.0", "20.0"],
    ]
    assert rows["Tries one behind the other"][0] == ["warmup", "-0.062 [-0.125, +0.000]"]
    first, second = rows["Length with difficulty"]
    assert first == ["warmup", "0.125 [0.062, 0.188]", "0.250 [0.188, 0.312]", "0.875", "–"]
    assert second[-1] == "1.750 [1.500, 2.000] times warmup, padded"


def test_tries_are_told_by_their_count_whoever_has_made_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    file = run / "eval" / "chains-step_000020-test.json"
    study = json.loads(file.read_text())
    study["sequential"] = [study["sequential"][0] | {"budget": budget} for budget in (1, 4)]
    file.write_text(json.dumps(study))
    found = usefulness([read_run(run, "run")])
    assert found is not None
    (tries,) = [table for table in found["tables"] if table["title"] == "Tries one behind the other"]
    assert tries["columns"] == ["checkpoint", "1 try", "2 tries", "4 tries"]
    assert [[cell == "–" for cell in row] for row in tries["rows"]] == [[False, True, False, True], [False, False, True, False]]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(1.0, ALLOWED_GROWTH, "fine"), (1.0, 2.5, "too few to tell"), (ALLOWED_GROWTH + 0.1, 2.5, "padded")],
)
def test_chains_are_padded_that_surely_grow_where_it_is_easiest(tmp_path: Path, low: float, high: float, word: str) -> None:
    run = write_run(tmp_path / "run")
    file = run / "eval" / "chains-step_000020-test.json"
    study = json.loads(file.read_text())
    study["gain"]["easiest"]["times"] = {"value": 1.2, "n": 17, "low": low, "high": high}
    file.write_text(json.dumps(study))
    found = usefulness([read_run(run, "run")])
    assert found is not None
    assert found["tables"][-1]["rows"][1][-1].endswith(f", {word}")


def test_a_mean_of_a_single_problem_is_not_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    file = run / "eval" / "chains-step_000020-test.json"
    study = json.loads(file.read_text())
    bins = study["difficulty"]["bins"]
    bins.append({"from": 9.0, "to": 9.0, "tokens": {"value": 40.0, "n": 1, "low": -math.inf, "high": math.inf}})
    file.write_text(json.dumps(study))
    record = read_run(run, "run")
    assert record.notes == [], "it is no damage"
    found = usefulness([record])
    assert found is not None
    assert found["charts"][1]["series"][1]["x"] == {"x": [1.0, 3.0]}


def test_what_is_asked_for_and_used_is_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    file = run / "eval" / "chains-warmup-test.json"
    study = json.loads(file.read_text())
    used = {"value": 1.5, "n": 200, "low": 1.4, "high": 1.6}
    study["curves"].append({"strategy": "ask", "unit": "tries", "points": [study["curves"][0]["points"][1] | {"used": used}]})
    file.write_text(json.dumps(study))
    found = usefulness([read_run(run, "run")])
    assert found is not None
    (asked,) = [chart for chart in found["charts"] if chart["id"] == "useful-asked"]
    assert [(one["name"], one["x"]["x"], one["y"]) for one in asked["series"]] == [("warmup", [2], [1.5])]


@pytest.mark.parametrize("damage", [None, 3, [], {"value": "x"}, {"bins": 1}, {"cut": {"value": 1}}])
def test_what_is_not_of_the_form_is_left_out(tmp_path: Path, damage: object) -> None:
    run = write_run(tmp_path / "run")
    for name in ("warmup", "step_000020"):
        file = run / "eval" / f"chains-{name}-test.json"
        names = ("natural", "ablations", "difficulty", "quality", "scaling", "gain", "sequential", "equal_tokens")
        parts = dict.fromkeys(names, damage)
        file.write_text(json.dumps(json.loads(file.read_text()) | parts))
    assert usefulness([read_run(run, "run")]) == {"charts": [], "tables": []}


def test_who_has_not_been_studied_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for name in ("warmup", "step_000020"):
        folder = run / "checkpoints" / name
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "config.json").write_text("{}")
    assert unstudied(run) == []
    (run / "eval" / "chains-warmup-test.json").unlink()
    assert [path.name for path in unstudied(run)] == ["warmup", "step_000020"], "both, on the same problems"
    (run / "eval" / "chains-step_000020-test.json").unlink()
    page, _ = build_page([read_run(run, "run")])
    assert json.dumps(str(run)) in page.split('"unstudied":[')[1].split("]")[0]
