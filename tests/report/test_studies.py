"""What the page says of studies of chains."""

import json
import math
from pathlib import Path

import pytest

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
    assert use["series"][0]["n"] == [100, 100, 200]
    assert length["series"][1]["x"] == {"x": [1.0, 3.0]}
    scaling, gain, content = found["tables"]
    (first, second) = scaling["rows"]
    assert first[:2] == ["warmup", "15.0"]
    assert first[3:] == ["wait", "8", "+0.500 [+0.431, +0.569]"]
    assert (second[1], second[3]) == ("24.0", "nothing goes beyond it")
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
        parts = dict.fromkeys(("natural", "ablations", "difficulty", "quality", "scaling", "gain"), damage)
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
