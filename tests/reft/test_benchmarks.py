"""Benchmarks by name: every local form loads whole, and what has changed or is unknown is told by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reft.benchmarks import KNOWN, Questions, check_name, find_file, load_benchmark, questions
from reft.errors import ConfigError, DataError
from reft.tasks.jsonl import Jsonl
from reft.tasks.signed_sum import SignedSum

ASKED = Questions(prompt="{question}")


def load(folder: Path, name: str, *records: Any) -> Any:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_benchmark(name, str(folder), ASKED)


@pytest.mark.parametrize(
    ("name", "file", "count", "unscored"),
    [
        ("gsm8k", ".", 1319, 0), ("gsm8k", "gsm8k", 1319, 0), ("gsm8k", "mwp_reft", 1319, 0),
        ("svamp", ".", 1000, 0), ("svamp", "svamp", 1000, 0), ("svamp", "mwp_reft", 1000, 0),
        ("asdiv", ".", 2215, 4), ("math500", ".", 500, 0), ("amc23", ".", 40, 0), ("minerva", ".", 272, 7),
        ("olympiadbench", ".", 675, 1),
        ("aime24", "comp_math_24_25", 30, 0), ("aime24", "aime", 30, 0), ("aime24", "qwen_math_eval/aime24.jsonl", 30, 0),
        ("aime25", "comp_math_24_25", 30, 0), ("aime25", "aime", 30, 0),
    ],
)  # fmt: skip
def test_local_files_load_whole(shared: Path, name: str, file: str, count: int, unscored: int) -> None:
    found = load_benchmark(name, str(shared / "data" / file), ASKED)
    assert (len(found.problems) + len(found.unscored), len(found.unscored)) == (count, unscored)
    assert len({problem.id for problem in found.problems}) == len(found.problems)
    assert all(ASKED.read(problem, f"So it is \\boxed{{{problem.answer}}}.") for problem in found.problems)


def test_two_forms_of_a_benchmark_have_the_same_answers(shared: Path) -> None:
    for name, one, other in (("gsm8k", "gsm8k", "mwp_reft"), ("aime24", "aime", "qwen_math_eval")):
        left, right = (load_benchmark(name, str(shared / "data" / folder), ASKED).problems for folder in (one, other))
        assert [problem.answer.replace(",", "") for problem in left] == [problem.answer.replace(",", "") for problem in right]


def test_what_becomes_of_a_record(tmp_path: Path) -> None:
    found = load(tmp_path, "asdiv", {"body": "Ann has 2 pens", "question": "How many has she?", "answer": "2 (pens)"})
    (problem,) = found.problems
    assert (problem.prompt, problem.answer) == ("Ann has 2 pens. How many has she?", "2")
    assert load(tmp_path, "svamp", {"Body": "A.", "Question": "B?", "Answer": 145.0}).problems[0].answer == "145"
    assert load(tmp_path, "gsm8k", {"question": "A?", "answer": "x #### y\n#### 1,234"}).problems[0].answer == "1,234"
    assert load(tmp_path, "gsm8k", {"question": "A?", "answer_value": "7"}).problems[0].answer == "7"
    assert load(tmp_path, "minerva", {"problem": "A?", "solution": "so \\boxed{3}"}).problems[0].answer == "3"
    assert load(tmp_path, "olympiadbench", {"question": "A?", "final_answer": ["$1$", "2"]}).problems[0].answer == "1, 2"


def test_a_known_answer_that_does_not_parse_is_named_and_left_out(tmp_path: Path) -> None:
    found = load(
        tmp_path, "math500", {"problem": "A?", "answer": "\\frac{1"}, {"problem": "B?", "answer": "2"},
        {"problem": "C?", "answer": ""}, {"problem": "D?", "answer": None},
    )  # fmt: skip
    assert [problem.prompt for problem in found.problems] == ["B?"]
    assert list(found.unscored) == ["math500:0", "math500:2", "math500:3"]
    assert "braces do not nest" in found.unscored["math500:0"]
    assert "there is none" in found.unscored["math500:2"]
    with pytest.raises(DataError, match=r"no known answer of .* parses"):
        load(tmp_path, "math500", {"problem": "A?", "answer": "\\frac{1"})


def test_what_is_behind_a_limit_is_neither_scored_nor_named(tmp_path: Path) -> None:
    rows = [{"problem": f"Q{at}", "answer": "\\frac{1" if at in (1, 4) else str(at)} for at in range(6)]
    (tmp_path / "amc23.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for limit, problems, unscored in ((1, [0], []), (2, [0, 2], [1]), (3, [0, 2, 3], [1]), (9, [0, 2, 3, 5], [1, 4])):
        found = load_benchmark("amc23", str(tmp_path), ASKED, limit)
        assert [problem.id for problem in found.problems] == [f"amc23:{at}" for at in problems]
        assert list(found.unscored) == [f"amc23:{at}" for at in unscored]


@pytest.mark.parametrize("field", ["problem", "answer"])
@pytest.mark.parametrize("wrap", [lambda lines: "\n".join(lines), lambda lines: f"[{','.join(lines)}]"])
def test_half_a_character_is_told_by_its_place(tmp_path: Path, field: str, wrap: Callable[[list[str]], str]) -> None:
    good = {"problem": "How many?", "answer": "1"}
    half = json.dumps(good | {field: "12 \ud800 34"})
    assert "\\ud800" in half
    (tmp_path / "amc23.jsonl").write_text(wrap([json.dumps(good), half]))
    with pytest.raises(DataError, match=r"amc23.jsonl:2 has half a character, \\ud800, behind .*12 .*; write the whole one"):
        load_benchmark("amc23", str(tmp_path), ASKED)
    whole = json.dumps(good | {"problem": "How many \U0001f600?"})
    assert "\\ud83d" in whole, "two halves"
    (tmp_path / "amc23.jsonl").write_text(wrap([json.dumps(good), whole]))
    assert load_benchmark("amc23", str(tmp_path), ASKED).problems[1].prompt == "How many \U0001f600?"


@pytest.mark.parametrize(
    ("name", "record", "told"),
    [
        ("gsm8k", {"question": "A?", "solution": "1"}, r"gsm8k.jsonl:2: there is no field 'answer'; it has question, solution"),
        ("gsm8k", {"question": "A?", "answer": "7"}, "'answer' has no '####'"),
        ("svamp", {"Body": "A", "question_concat": "B", "Answer": 1}, "there is no field 'Question'.* needs Body . Question"),
        ("minerva", {"problem": "A?", "solution": "3"}, "'solution' has no 'box'"),
        ("aime25", {"text": "A?"}, "there is no field 'problem', 'answer'"),
        ("amc23", ["A?"], "is no JSON object"),
        ("amc23", {"problem": "", "answer": "1"}, "has an empty problem"),
    ],
)
def test_fields_that_have_changed_are_named(tmp_path: Path, name: str, record: Any, told: str) -> None:
    good = {
        "gsm8k": {"question": "A?", "answer": "#### 1"}, "svamp": {"Body": "A", "Question": "B?", "Answer": 1},
        "minerva": {"problem": "A?", "solution": "\\boxed{1}"},
    }.get(name, {"problem": "A?", "answer": "1"})  # fmt: skip
    if told.startswith("'"):  # of the whole file, as its first record has it
        good = record
    with pytest.raises(DataError, match=told) as caught:
        load(tmp_path, name, good, record)
    assert f"--on {name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "record", "told"),
    [
        ("math500", {"problem": ["a", "b"], "answer": "1"}, "'problem' is .*, a list, not text"),
        ("math500", {"problem": {"x": 1}, "answer": "1"}, "'problem' is .* a dict, not text"),
        ("aime24", {"problem": "a?", "answer": True}, "'answer' is 'True', a bool, not a text, a finite number"),
        ("aime24", {"problem": "a?", "answer": float("inf")}, "'answer' is 'inf', a float"),
        ("olympiadbench", {"question": "a?", "final_answer": [{"x": 1}]}, "'final_answer' is .* a list, not a text"),
    ],
)
def test_fields_of_another_type_are_named(tmp_path: Path, name: str, record: Any, told: str) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps(record) + "\n")
    with pytest.raises(DataError, match=f"the fields have changed: .*data.jsonl.*{told}"):
        load_benchmark(name, str(file), ASKED)


def test_a_question_without_its_question_is_none(tmp_path: Path) -> None:
    file = tmp_path / "svamp.jsonl"
    file.write_text('{"Body": "", "Question": "q?", "Answer": "1"}\n')
    assert load_benchmark("svamp", str(file), Questions(prompt="{question}")).problems[0].prompt == "q?"
    file.write_text('{"Body": "b", "Question": null, "Answer": "1"}\n')
    with pytest.raises(DataError, match="has an empty Question"):
        load_benchmark("svamp", str(file), ASKED)


def test_files_are_found_by_name(tmp_path: Path) -> None:
    for path in ("deep/down/gsm8k.jsonl", "gsm8k/train.jsonl", "gsm8k/test.json", "other/test.jsonl"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert find_file("gsm8k", tmp_path) == tmp_path / "gsm8k/test.json"
    assert find_file("gsm8k", tmp_path / "other/test.jsonl") == tmp_path / "other/test.jsonl", "a file is taken as it is"
    with pytest.raises(DataError, match=r"no file of svamp; looked for svamp.jsonl or svamp/test.jsonl, svamp_test_set"):
        find_file("svamp", tmp_path)
    with pytest.raises(DataError, match="nowhere is not there"):
        find_file("svamp", tmp_path / "nowhere")


def test_an_unknown_name_lists_the_known_ones_with_what_each_needs() -> None:
    for name in (*KNOWN, "signed_sum", "running_total", "word_problems", "mine"):
        check_name(name, "mine")
    with pytest.raises(ConfigError) as caught:
        check_name("gsm9k", "mine")
    for name, known in KNOWN.items():
        assert f"{name} (hub {known.hub}; a record has {known.needs})" in str(caught.value)
    assert "signed_sum" in str(caught.value)
    assert "gsm8k (hub openai/gsm8k; a record has question + answer (behind ####), or question + answer_" in str(caught.value)
    assert "a record has problem + solution (in a box), or problem + answer, or" in str(caught.value)
    assert "mine, the run's own task" in str(caught.value)


def test_the_hub_out_of_reach_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(DataError, match=r"--on gsm8k: openai/gsm8k, split 'test', .* no route to host; .* with --data"):
        load_benchmark("gsm8k", None, ASKED)


def test_the_hub_s_records(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def rows(name: str, subset: str | None, split: str, revision: str | None) -> list[dict[str, str]]:
        asked.append((name, subset, split))
        return [{"question": "A?", "answer": "#### 7"}]

    monkeypatch.setattr("datasets.load_dataset", rows)
    found = load_benchmark("gsm8k", None, ASKED)
    assert asked == [("openai/gsm8k", "main", "test")]
    assert (found.source, found.problems[0].answer) == ("hub: openai/gsm8k", "7")


def test_how_it_is_asked() -> None:
    run = Jsonl(prompt="Q {question} A", style="hashes", train="x")
    assert vars(questions(run, None, None))["prompt"] == "Q {question} A"
    assert questions(run, None, None).style == "hashes"
    assert questions(run, "{question}\n", "boxed") == Questions(prompt="{question}\n", style="boxed")
    assert questions(SignedSum(), None, None) == Questions()
    with pytest.raises(ConfigError, match=r"has no \{question\}"):
        questions(run, "Solve it", None)
    with pytest.raises(ConfigError, match="'last' is unknown"):
        questions(run, None, "last")


def test_several_parts_are_read_by_the_known_answer() -> None:
    problem = ASKED.ask("x", "Which?", "1, 2")
    assert ASKED.read(problem, "They are \\boxed{1} and \\boxed{2}.") == "1 , 2"
    assert ASKED.read(ASKED.ask("x", "Which?", "B"), "I take (B).") == "B"
