"""Data sets by config alone: templates, markers, splits, and errors that name the record."""

import json
from pathlib import Path

import datasets
import pytest

from reft.errors import ConfigError, DataError
from reft.tasks.hub import Hub
from reft.tasks.jsonl import Jsonl
from rewards.program import Program

RECORDS = [
    {"question": f"What is {n} + 1?", "answer_cot": f"{n} + 1 = {n + 1}", "answer_value": str(n + 1)} for n in range(200)
]


def write(path: Path, records: list[dict], as_list: bool = False) -> str:
    path.write_text(json.dumps(records) if as_list else "\n".join(map(json.dumps, records)))
    return str(path)


@pytest.mark.parametrize("as_list", [True, False])
def test_reft_s_own_form_is_the_default(tmp_path: Path, as_list: bool) -> None:
    task = Jsonl(train=write(tmp_path / "train", RECORDS, as_list))
    task.validate()
    splits = task.splits()
    assert len(splits.train) + len(splits.dev) + len(splits.test) == 200
    assert min(len(splits.dev), len(splits.test)) > 5
    demo = task.demonstrations(splits.train, 0)[0]
    number = int(demo.problem.answer)
    assert demo.problem.prompt == f"Question:\nWhat is {number - 1} + 1?\nAnswer reasoning:\n"
    assert demo.chain == f"{number - 1} + 1 = {number}\nTherefore, the answer is: {number}"
    assert task.read(demo.problem, demo.chain) == demo.problem.answer


def test_gsm8k_form(tmp_path: Path) -> None:
    record = {"question": "Q?", "answer": "48/2 = <<48/2=24>>24 clips\n#### 1,224"}
    task = Jsonl(
        train=write(tmp_path / "a", [record]), test=write(tmp_path / "b", [{**record, "question": "R?"}]),
        dev=write(tmp_path / "c", [{**record, "question": "S?"}]), chain="{answer}", answer="{answer}",
        answer_after="####", remove="<<[^>]*>>", closing="\n#### {answer}", style="hashes", numeric=True,
    )  # fmt: skip
    splits = task.splits()
    (demo,) = task.demonstrations(splits.train, 0)
    assert demo.chain == "48/2 = 24 clips\n#### 1,224"
    assert (demo.problem.answer, task.read(demo.problem, demo.chain)) == ("1,224", "1,224")


def test_templates_join_fields(tmp_path: Path) -> None:
    task = Jsonl(
        train=write(tmp_path / "a", [{"Body": "Two", "Question": "how?", "N": 2.0}]), question="{Body} {Question}", answer="{N}"
    )
    (problem,) = (item for split in vars(task.splits()).values() for item in split)
    assert "Two how?" in problem.prompt
    assert problem.answer == "2.0"


def test_given_splits_that_overlap_are_set_apart(tmp_path: Path) -> None:
    task = Jsonl(
        train=write(tmp_path / "a", RECORDS[:100] + RECORDS[:10]), dev=write(tmp_path / "b", RECORDS[85:105]),
        test=write(tmp_path / "c", RECORDS[95:120]),
    )  # fmt: skip
    splits = task.splits()
    prompts = [{problem.prompt for problem in problems} for problems in vars(splits).values()]
    assert [len(part) for part in prompts] == [85, 10, 25]
    assert not prompts[0] & prompts[1]
    assert not (prompts[0] | prompts[1]) & prompts[2]


@pytest.mark.parametrize(
    ("records", "settings", "told"),
    [
        ([{"q": 1}], {}, "no field 'answer_value'"),
        ([{"question": None, "answer_value": 1}], {}, "'question' is empty"),
        ([{"question": "x", "answer_value": " "}], {}, "answer is empty"),
        ([{"question": "x", "answer_value": "seven"}], {"numeric": True}, "'seven' is no number"),
        ([{"question": "x", "answer_value": "7"}], {"answer_after": "####"}, "no '####'"),
        ([], {}, "is empty"),
        ([[1, 2]], {}, "no JSON object"),
    ],
)
def test_a_bad_record_is_named(tmp_path: Path, records: list, settings: dict, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        Jsonl(train=write(tmp_path / "data.jsonl", records), **settings).splits()
    assert "data.jsonl" in str(caught.value)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file.*name a readable"):
        Jsonl(train=str(tmp_path / "absent.jsonl")).splits()
    (tmp_path / "broken.jsonl").write_text('{"question": "x", "answer_value": "1"}\n{"question": ')
    with pytest.raises(DataError, match=r"broken.jsonl:2 is not JSON"):
        Jsonl(train=str(tmp_path / "broken.jsonl")).splits()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        Jsonl(train=str(tmp_path / "binary")).splits()


def test_without_solutions_there_is_nothing_to_imitate(tmp_path: Path) -> None:
    task = Jsonl(train=write(tmp_path / "a", [{"question": "x", "answer_value": "1"}] * 2))
    problems = [problem for split in vars(task.splits()).values() for problem in split]
    with pytest.raises(DataError, match="no solution to imitate"):
        task.demonstrations(problems, 0)


@pytest.mark.parametrize("indentation", ["", "    "])
def test_programs_go_on_from_their_opening(tmp_path: Path, indentation: str) -> None:
    """From a line's end, as in ReFT's code, or from where the first statement stands."""
    record = {
        "question": " How many? ",
        "answer_cot": 'def solution():\n    """How  many?"""\n    apples = 3\n\n    return apples + 1',
        "answer_value": "4.0",
    }
    settings = {
        "train": write(tmp_path / "a", [record] * 3),
        "opening": 'def solution():\n    """{question}"""\n' + indentation,
        "closing": "",
        "style": "program",
        "numeric": True,
    }
    task = Jsonl(**settings, remove=r'\Adef solution\(\):\n    """(?s:.*?)"""\n')
    task.validate()
    problem = next(iter(task._problems("train") or []))
    prompt = 'Question:\nHow many?\nAnswer reasoning:\ndef solution():\n    """How many?"""\n'
    assert problem.prompt == prompt + indentation
    (demo,) = task.demonstrations([problem], 0)
    assert indentation + demo.chain == "    apples = 3\n\n    return apples + 1"
    source = 'def solution():\n    """How many?"""\n    apples = 3\n\n    return apples + 1'
    assert task.read(problem, demo.chain) == Program(source, numeric=True)
    assert task.read(problem, demo.chain + "\n\nQuestion:\nHow") == Program(source, numeric=True)
    with pytest.raises(DataError, match=r"stands in task.opening and in the solution; set task.remove"):
        Jsonl(**settings).splits()


def test_a_question_may_end_in_a_quotation_mark(tmp_path: Path) -> None:
    record = {"question": 'Is it "full"?"', "answer_value": "4"}
    train = write(tmp_path / "a", [record] * 3)
    opening = 'def solution():\n    """{question}"""\n    '
    task = Jsonl(train=train, opening=opening, closing="", style="program", chain=None)
    problem = next(iter(task._problems("train") or []))
    assert problem.prompt.startswith('Question:\nIs it "full"?"\nAnswer')
    found = task.read(problem, "return 4")
    assert isinstance(found, Program)
    compile(found.source, "<program>", "exec")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"style": "program"}, "task.closing"),
        ({"style": "xml"}, "task.style"), ({"prompt": "hello"}, "task.prompt"), ({"closing": "bye"}, "task.closing"),
        ({"remove": "("}, "task.remove"), ({"limit": 0}, "task.limit"), ({"train": ""}, "task.train"),
    ],
)  # fmt: skip
def test_wrong_settings(settings: dict, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Jsonl(**{"train": "x", **settings}).validate()


def test_hub_from_a_folder_saved_by_datasets(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_list(RECORDS)
    datasets.DatasetDict({"train": rows, "test": rows.select(range(5))}).save_to_disk(str(tmp_path / "saved"))
    splits = Hub(name=str(tmp_path / "saved"), test="test", limit=100).splits()
    assert len(splits.test) == 5
    assert len(splits.train) + len(splits.dev) == 95
    with pytest.raises(DataError, match="no split 'validation'"):
        Hub(name=str(tmp_path / "saved"), dev="validation").splits()


def test_hub_from_a_folder_of_files(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", RECORDS)
    assert len(Hub(name=str(tmp_path)).splits().train) > 100


def test_hub_that_is_not_there() -> None:
    with pytest.raises(DataError, match="cannot be loaded"):
        Hub(name="/no/such/data").splits()
    with pytest.raises(ConfigError, match=r"task\.name"):
        Hub().validate()


@pytest.mark.parametrize(
    ("train", "test", "sizes"),
    [("mwp_reft/svamp_nl.json", "mwp_reft/svamp_test_set.json", (3076, 1000)),
     ("mwp_reft/svamp_python_sdp.json", "mwp_reft/svamp_test_set.json", (3043, 1000))],
)  # fmt: skip
def test_reft_s_files(shared: Path, train: str, test: str, sizes: tuple[int, int]) -> None:
    task = Jsonl(train=str(shared / "data" / train), test=str(shared / "data" / test), numeric=True)
    splits = task.splits()
    assert len(splits.test) == sizes[1]
    assert 0.95 * sizes[0] < len(splits.train) + len(splits.dev) <= sizes[0]
    for demo in task.demonstrations(splits.train, 0)[:200]:
        assert task.read(demo.problem, demo.chain) == demo.problem.answer


def test_gsm8k_s_files(shared: Path) -> None:
    folder = shared / "data" / "gsm8k"
    task = Jsonl(
        train=str(folder / "train.jsonl"), test=str(folder / "test.jsonl"), chain="{answer}", answer="{answer}",
        answer_after="####", remove="<<[^>]*>>", closing="\n#### {answer}", style="hashes", numeric=True,
    )  # fmt: skip
    splits = task.splits()
    assert len(splits.test) == 1319
    assert len(splits.train) + len(splits.dev) == 7473
    assert not any("<<" in demo.chain for demo in task.demonstrations(splits.train, 0))
