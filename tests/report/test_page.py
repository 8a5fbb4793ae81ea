"""The page as text: whole in itself, and what it holds of runs."""

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy
import pytest

pytest.importorskip("plotly", reason="the report draws with plotly")

from reft.cli import main
from reft.compose import compose
from reft.errors import RunError
from reft.report.chains import pack_chains
from reft.report.charts import break_evens, learning_charts, training_chart
from reft.report.charts import test_time_charts as charts_of_curves
from reft.report.page import as_data, build_page
from reft.report.read import read_run
from reft.tokens import token_columns
from rollout.types import Completion
from tests.report.runs import HOSTILE, write_json, write_lines, write_run


def unpack(text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    return content


def rows_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]


def test_hostile_text_ends_no_element(tmp_path: Path) -> None:
    run = write_run(tmp_path / "evil<img src=x onerror=alert(1)>", steps=5, samples=4, hostile=True)
    page, packed = build_page([read_run(run, run.name)])
    assert "window.struck" not in page
    assert "<img" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "evil&lt;img src=x" in page
    assert page.count("<script") - page.count("<script", page.index("<script>"), page.rindex("</script>")) == 2
    assert HOSTILE in json.dumps(unpack(packed.text), ensure_ascii=False).replace('\\"', '"')


def test_data_in_html_has_no_character_that_html_knows() -> None:
    text = as_data({HOSTILE: [HOSTILE, 1.5]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE, 1.5]}


def test_nothing_is_fetched_and_scripts_are_known_by_hash(tmp_path: Path) -> None:
    page, _ = build_page([read_run(write_run(tmp_path / "run", 5, 4), "run")])
    head = page[: page.index("<style>")]
    assert "default-src 'none'" in head
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", head)) == 2
    without_library = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", without_library)
    assert "@@" not in without_library


def test_chains_come_with_what_was_said_of_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=5, samples=4)
    packed = pack_chains([read_run(run, "run")])
    assert packed.shown == packed.total == 5 * 4 + 3 * 400
    content = unpack(packed.text)
    rows = [row for row in rows_of(content) if content["sources"][row["source"]] == ["run", "training"]]
    written = [json.loads(line) for line in (run / "samples" / "step_000003.jsonl").read_text().splitlines()]
    at_three = [row for row in rows if row["step"] == 3]
    assert [row["chain"] for row in at_three] == [row["chain"] for row in written]
    assert [row["logprobs"] for row in at_three] == [row["logprobs"] for row in written]
    for row in at_three:
        assert sum(row["lengths"]) == len(row["chain"])
        assert row["lengths"][-1] == 0  # the end token has no text
        assert row["lengths"][:2] == [1, 2]  # "b", " +"
    verdicts = {tuple(verdict) for verdict in content["verdicts"]}
    assert verdicts == {("equal", "right"), ("different", "wrong"), ("no_answer", "unparsed")}
    sources = {source for _, source in content["sources"]}
    assert sources == {"training"} | {
        f"{name}, {mode}" for name in ("readiness", "warmup", "reinforced") for mode in ("greedy", "sampled")
    }


def test_tokens_that_do_not_make_up_the_text_are_not_shaded(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=1, samples=2)
    file = run / "samples" / "step_000001.jsonl"
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    write_lines(file, [first | {"token_ids": first["token_ids"][::-1]}, second])
    content = unpack(pack_chains([read_run(run, "run")]).text)
    shaded = [row["lengths"] is not None for row in rows_of(content) if content["sources"][row["source"]][1] == "training"]
    assert shaded == [False, True]


@pytest.mark.parametrize("limits", [{"largest": 40_000}, {"largest_packed": 8_000}])
def test_of_too_many_chains_whole_problems_are_kept(tmp_path: Path, limits: dict[str, int]) -> None:
    run = write_run(tmp_path / "run", steps=10, samples=10)
    packed = pack_chains([read_run(run, "run")], **limits)
    assert 0 < packed.shown < packed.total == 100 + 3 * 400
    assert len(packed.text) <= limits.get("largest_packed", 1e9)
    content = unpack(packed.text)
    shown: dict[str, int] = {}
    for row in rows_of(content):
        problem = content["problems"][row["problem"]][0]
        shown[problem] = shown.get(problem, 0) + 1
    everything = unpack(pack_chains([read_run(run, "run")]).text)
    of: dict[str, int] = {}
    for row in rows_of(everything):
        problem = everything["problems"][row["problem"]][0]
        of[problem] = of.get(problem, 0) + 1
    assert sum(count < of[problem] for problem, count in shown.items()) <= 1  # the last one may be cut


def test_one_problem_alone_may_be_cut(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=1, samples=1)
    for file in run.glob("eval/*.jsonl"):
        file.unlink()
    row = json.loads((run / "samples" / "step_000001.jsonl").read_text())
    write_lines(run / "samples" / "step_000001.jsonl", [row] * 500)
    assert 10 < pack_chains([read_run(run, "run")], largest=20_000).shown < 500


def test_accuracy_on_dev_has_the_interval_of_its_problems(tmp_path: Path) -> None:
    chart = training_chart([read_run(write_run(tmp_path / "run"), "run")])
    assert chart is not None
    greedy, sampled = chart["series"]
    assert greedy["y"] == pytest.approx([0.2, 0.375, 0.55, 0.725, 0.9])
    assert greedy["x"]["flops"] == [1e12, 1.05e12, 1.1e12, 1.15e12, 1.2e12]
    assert greedy["n"] == [200] * 5
    assert all(low < value < high for low, value, high in zip(greedy["low"], greedy["y"], greedy["high"], strict=True))
    assert sampled["y"][1] == pytest.approx(0.275)
    assert greedy["x"]["tokens"] == [0, 25_000, 50_000, 75_000, 100_000]
    assert [axis["key"] for axis in chart["axes"]] == ["flops", "tokens", "steps"]


def test_a_budget_that_costs_no_more_than_the_one_before_is_unspent(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    file = run / "eval" / "chains-warmup-test.json"
    content = json.loads(file.read_text())
    last, before = content["curves"][0]["points"][-1], content["curves"][0]["points"][-2]
    last["tokens_per_query"] = 1.04 * before["tokens_per_query"]
    file.write_text(json.dumps(content))
    drawn = {one["name"]: one for chart in charts_of_curves(read_run(run, "run").curves) for one in chart["series"]}
    assert drawn["warmup: cut short"]["unspent"] == {"flops": False, "tokens": True}
    assert drawn["warmup: made to go on"]["unspent"] == {"flops": False, "tokens": False}


def test_what_training_came_to_is_called_by_its_step(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 10, 2)
    best = {"best_step": 5, "flops": {"warmup": 1e12}}
    (run / "state.json").write_text(json.dumps(best))
    (run / "summary.json").write_text(json.dumps(best))
    names = {curve.checkpoint for curve in read_run(run, "run").curves if curve.strategy == "greedy"}
    assert names == {"warmup", "step_000005"}
    content = unpack(pack_chains([read_run(run, "run")]).text)
    steps = {row["step"] for row in rows_of(content) if "reinforced" in content["sources"][row["source"]][1]}
    assert steps == {5}


def test_chains_take_few_bytes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=20, samples=50)
    page, packed = build_page([read_run(run, "run")])
    assert packed.shown == packed.total == 20 * 50 + 3 * 400
    # 200 steps of 100 chains, with the page and the library: below 15 MB, with room for chains four times as long.
    bare = len(page) - len(packed.text)
    assert bare + 4 * 21_200 * len(packed.text) / packed.shown < 15e6


def test_an_axis_that_not_all_points_have_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    file = run / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    write_lines(file, [{key: value for key, value in row.items() if key != "compute/flops"} for row in rows])
    chart = training_chart([read_run(run, "run")])
    assert chart is not None
    assert [axis["key"] for axis in chart["axes"]] == ["tokens", "steps"]


def test_a_run_that_has_not_finished_is_called_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=5)
    assert '"unfinished":null' in build_page([read_run(run, "run")])[0]
    (run / "summary.json").unlink()
    assert '"unfinished":"step 5 of 5"' in build_page([read_run(run, "run")])[0]
    (run / "metrics.jsonl").unlink()
    assert '"unfinished":"no step yet"' in build_page([read_run(run, "run")])[0]


def test_checkpoints_break_even(tmp_path: Path) -> None:
    rows = break_evens(read_run(write_run(tmp_path / "run"), "run"))
    at = {row["accuracy"]: row for row in rows if row["split"] == "test"}
    assert at[0.9]["earlier"] == "warmup"
    assert at[0.9]["later"] == "step_000020"
    assert at[0.9]["query"][0] is None
    halves = at[0.5]
    assert halves["queries"] == pytest.approx(2e11 / (halves["query"][0] - halves["query"][1]))


def test_break_even_is_of_curves_on_equal_problems(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    rows = break_evens(read_run(run, "run"))
    for file in run.glob("eval/[rw]*.json"):
        content = json.loads(file.read_text())
        for mode in ("greedy", "sampled"):
            content[mode] |= {"flops_per_query": 1.0, "accuracy": content[mode]["accuracy"] | {"n": 1000, "value": 1.0}}
        write_json(file, content)
    assert break_evens(read_run(run, "run")) == rows, "points of other draws, on other problems, are no curve"
    file = run / "eval" / "chains-warmup-test.json"
    content = json.loads(file.read_text())
    for curve in content["curves"]:
        for point in curve["points"][:2]:
            point["accuracy"]["n"] = 150
    write_json(file, content)
    assert break_evens(read_run(run, "run")) == [], "two points on as many problems are no curve"


def test_runs_of_other_tasks_have_charts_of_their_own(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, steps=5, samples=1) for name in "abc"]
    (runs[2] / "config.yaml").write_text(compose("quickstart", ["task.operands=4"]).yaml())
    for count, wanted in ((2, ["test", "dev"]), (3, ["test, a", "test, c", "dev, a", "dev, c"])):
        page, _ = build_page([read_run(run, run.name) for run in runs[:count]])
        charts = json.loads(page.split('id="data">')[1].split("</script>")[0])["test_time"]
        assert [chart["title"] for chart in charts] == wanted
    assert {one["owner"].split(",")[0] for one in charts[0]["series"]} == {"a", "b"}


def test_right_and_wrong_chains_have_one_chart_of_their_lengths(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / name, steps=5), name) for name in "ab"]
    charts = {chart["id"]: chart for chart in learning_charts(runs[:1])}
    order = list(charts)
    assert order[order.index("learning-chain/tokens_mean") + 1] == "learning-right-and-wrong"
    right, wrong = charts["learning-right-and-wrong"]["series"]
    assert (right["name"], right["dash"], right["y"]) == ("right", "solid", [21, 22, 23, 24, 25])
    assert (wrong["name"], wrong["dash"], wrong["y"]) == ("wrong", "dash", [12, 12, 12])
    assert (right["x"]["step"], wrong["x"]["step"]) == ([1, 2, 3, 4, 5], [3, 4, 5]), "no step has a length of no chains"
    assert (right["n"], wrong["n"]) == ([80] * 5, [20] * 3)
    (both,) = [chart for chart in learning_charts(runs) if chart["id"] == "learning-right-and-wrong"]
    assert [one["name"] for one in both["series"]] == ["a, right", "a, wrong", "b, right", "b, wrong"]
    assert [one["colour"] for one in both["series"]] == [0, 0, 1, 1]
    for row in runs[0].rows["reinforce"]:
        row.pop("chain/tokens_right")
        row.pop("chain/tokens_wrong", None)
    assert "right-and-wrong" not in str(learning_charts(runs[:1])), "a run that does not tell"


def test_damage_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=5, samples=4)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "reinf')
    (run / "eval" / "chains-warmup-test.json").write_text('{"curves": [{"points": 3}]}')
    (run / "eval" / "broken.json").write_text("{")
    (run / "samples" / "step_000002.jsonl").write_bytes(b"\xff\xfe\n[1]\n")
    record = read_run(run, "run")
    page, packed = build_page([record])
    assert packed.total == 4 * 4 + 3 * 400
    assert len(record.notes) == 4
    assert all(
        name in page
        for name in ("metrics.jsonl: 1 lines", "chains-warmup-test.json", "broken.json", "step_000002.jsonl: 2 lines")
    )


def test_no_code_that_a_run_names_is_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=1, samples=1)
    file = run / "config.yaml"
    file.write_text(file.read_text().replace("use: signed_sum", "use: no_such_module:Task"))
    assert read_run(run, "run").settings["task"]["use"] == "no_such_module:Task"
    file.write_text("{")
    with pytest.raises(RunError, match=r"config\.yaml"):
        read_run(run, "run")


def test_what_was_sampled_is_kept_in_hundredths() -> None:
    tokens = numpy.array([3, 1], numpy.int32)
    completion = Completion(tokens, tokens, numpy.array([-0.1234, -numpy.inf], numpy.float32), "x", "stop")
    assert token_columns(completion) == {"token_ids": [3, 1], "logprobs": [-12, -1_000_000]}


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write_run(tmp_path / "a" / "run", 5, 4), write_run(tmp_path / "b" / "run", 5, 4)
    assert main(["report", str(first), str(second)]) == 0
    assert "report.html" in capsys.readouterr().out
    page = (first / "report.html").read_text(encoding="utf-8")
    assert "<title>reft report: a/run, b/run</title>" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "report needs a run"),
        (["nowhere"], "no run directory"),
        (["--log", "nowhere.json"], "nowhere.json"),
        (["--log", "x.json", "--problems", "0"], "out of range"),
    ],
)
def test_mistakes_are_a_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
