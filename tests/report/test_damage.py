"""Whatever files of a run hold, the page is made of the rest, and says what was left out."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("plotly", reason="the report draws with plotly")

from reft.cli import main
from reft.report.chains import pack_chains
from reft.report.page import build_page
from reft.report.read import read_run
from tests.report.runs import write_json, write_lines, write_run
from tests.report.test_page import rows_of, unpack

HUGE = "1" * 5000


def set_in(content: Any, place: str, value: Any) -> None:
    *before, last = (int(name) if name.isdecimal() else name for name in place.split("|"))
    for name in before:
        content = content[name]
    content[last] = value


@pytest.mark.parametrize(
    ("file", "place", "value"),
    [
        ("eval/readiness.json", "greedy|accuracy", None),
        ("eval/readiness.json", "greedy|accuracy|n", "many"),
        ("eval/warmup.json", "greedy|flops_per_query", "dear"),
        ("eval/chains-warmup-test.json", "curves|0|points|1|flops_per_query", -1),
        ("eval/chains-warmup-test.json", "difficulty|bins|1|from", "low"),
        ("eval/chains-warmup-test.json", "ablations|cut|value", 1.5),
        ("eval/chains-warmup-test.json", "quality|trace_error|n", -1),
        ("eval/chains-warmup-test.json", "scaling|wait|gain", "much"),
        ("eval/chains-warmup-test.json", "ablations|against|cut|none", 0.5),
        ("eval/chains-warmup-test.json", "difficulty|spearman_most", "all"),
        ("eval/chains-warmup-test.json", "sequential|0|gain", None),
        ("eval/chains-warmup-test.json", "equal_tokens|1|their_tokens", -1),
        ("eval/chains-step_000005-test.json", "gain|persistence|low", "none"),
        ("eval/chains-step_000005-test.json", "gain|easiest|times", 2),
        ("eval/chains-step_000005-test.json", "gain|equal_tokens|0|against", 1),
        ("state.json", "flops|warmup", None),
        ("summary.json", "seconds", 3),
        ("summary.json", "best_step", "last"),
    ],
)
def test_what_is_of_another_form_is_told(tmp_path: Path, file: str, place: str, value: Any) -> None:
    run = write_run(tmp_path / "run", 5, 2)
    content = json.loads((run / file).read_text())
    set_in(content, place, value)
    write_json(run / file, content)
    record = read_run(run, "run")
    assert build_page([record])
    (note,) = record.notes
    assert file in note
    assert place.replace("|0", "[0]").replace("|1", "[1]").replace("|", ".") in note


@pytest.mark.parametrize(
    ("name", "value"), [("samples/tokens", None), ("samples/tokens", "x"), ("dev/greedy", "0.5"), ("dev/greedy", 7)]
)
def test_a_metric_that_is_no_number_is_told(tmp_path: Path, name: str, value: Any) -> None:
    run = write_run(tmp_path / "run", 5, 2)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    write_lines(run / "metrics.jsonl", [*rows[:-1], rows[-1] | {name: value}])
    record = read_run(run, "run")
    assert build_page([record])
    assert [f"line 9: {name}" in note for note in record.notes] == [True]


def test_numbers_that_others_than_python_do_not_know_are_no_numbers(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 1, 4)
    file = run / "samples" / "step_000001.jsonl"
    texts = ["NaN", "-Infinity", "1" + "0" * 400, HUGE]
    lines = [
        line.replace('"correct": 1.0', f'"correct": {text}').replace('"correct": 0.0', f'"correct": {text}')
        for line, text in zip(file.read_text().splitlines(), texts, strict=True)
    ]
    file.write_text("\n".join(lines))
    content = json.loads(json.dumps(unpack(pack_chains([read_run(run, "run")]).text), allow_nan=False))
    rewards = [row["rewards"] for row in rows_of(content) if content["sources"][row["source"]][1] == "training"]
    assert rewards == [{"correct": None}] * 4


def test_settings_of_another_form_are_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 1, 1)
    (run / "config.yaml").write_text("algorithm: reft\ntask: {use: signed_sum}\n")
    record = read_run(run, "run")
    assert "signed_sum" in build_page([record])[0]
    assert record.notes == ['config.yaml is damaged, which is left out: algorithm is "reft", not an object']


def test_a_folder_whose_name_is_no_text_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", 1, 1).rename(os.fsdecode(os.fsencode(tmp_path) + b"/r\xff"))
    assert main(["report", str(run)]) == 0
    assert "r?" in capsys.readouterr().out


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_stops_the_page(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    run = write_run(tmp_path / "run", 5, 2)
    values = ["null", '"x"', "[]", "{}", "-1", "0", "NaN", "1" + "0" * 400, HUGE, "true", "1e308", "[{}]", '{"value": 1}']
    files = [*run.glob("*.json*"), *run.glob("eval/*.json"), *run.glob("samples/*.jsonl")]
    for file in files:
        lines = file.read_text().splitlines()
        for _ in range(2):
            number = draw.randrange(len(lines))
            content = json.loads(lines[number].replace(HUGE, "1"))
            holder, names = content, list(content)
            while True:
                name = draw.choice(names)
                inner = holder[name]
                if not inner or not isinstance(inner, dict | list) or draw.random() < 0.3:
                    break
                holder, names = inner, list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            holder[name] = "DAMAGE"
            lines[number] = json.dumps(content).replace('"DAMAGE"', draw.choice(values))
            break
        file.write_text("\n".join(lines))
    assert build_page([read_run(run, "run")])


@pytest.mark.parametrize(("checkpoint", "step"), [("fresh", 0), ("warmup", 0), ("step_000003", 3), ("Qwen2-1.5B", 0)])
def test_chains_have_the_step_of_their_checkpoint(tmp_path: Path, checkpoint: str, step: int) -> None:
    run = write_run(tmp_path / "run", 5, 2)
    row = (run / "eval" / "readiness.jsonl").read_text().splitlines()[0]
    (run / "eval" / "mine.jsonl").write_text(row)
    write_json(run / "eval" / "mine.json", {"checkpoint": f"/a/b_12/{checkpoint}", "split": "test"})
    content = unpack(pack_chains([read_run(run, "run")]).text)
    rows = rows_of(content)
    assert [row["step"] for row in rows if content["sources"][row["source"]][1] == "mine, greedy"] == [step]
    assert {row["step"] for row in rows if content["sources"][row["source"]][1] == "reinforced, greedy"} == {5}
