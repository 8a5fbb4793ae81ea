"""Saved outputs: every form is read, and real ones come to the published figures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reft.errors import DataError
from reft.outputs import as_text, read_outputs, score_outputs
from reft.progress import Display
from rewards.equal import Checker


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    checker = Checker()
    yield checker
    checker.close()


def scored(checker: Checker, *paths: Path) -> dict[str, dict[str, Any]]:
    content, rows = score_outputs(read_outputs(list(map(str, paths))), as_text("lenient", checker), checker, 0, Display())
    assert len(rows) == sum(report["problems"] for report in content["models"].values())
    return dict(content["models"])


def values(report: dict[str, Any]) -> dict[str, float]:
    ks = {f"{name[:-1]}{k}": found["value"] for name in ("pass@k", "maj@k") for k, found in report[name].items()}
    return ks | {name: found["value"] for name, found in report.items() if isinstance(found, dict) and "value" in found}


def write(folder: Path, *records: Any) -> Path:
    (folder / "outputs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder / "outputs.jsonl"


def test_qwen_s_responses_come_to_the_known_figures(shared: Path, checker: Checker) -> None:
    (report,) = scored(checker, shared / "data/qwen_rm_maj_outputs/math_cot_100.jsonl").values()
    labelled = values(report["labelled"])
    assert labelled["accuracy"] == labelled["pass@1"] == labelled["maj@1"] == pytest.approx(0.910)
    assert (labelled["pass@8"], labelled["maj@8"]) == (0.96, 0.93)
    assert (labelled["best_by_score"], labelled["vote_by_score"]) == (0.94, 0.94)
    assert report["labelled"]["accuracy"]["n"] == 100
    # One known answer, a time of the day, does not parse; on the others the checker departs from one label, which is wrong.
    assert list(report["unscored"]["answers"].values()) == ["4:30p.."]
    assert [(row["answer"], row["extracted"], row["label"]) for row in report["differing"]] == [("10{,}000", "10000", False)]
    assert report["accuracy"]["n"] == 99


def test_gpt_3_s_solutions_come_to_the_known_figures(shared: Path, checker: Checker) -> None:
    models = scored(checker, shared / "data/gsm8k_model_outputs/example_model_solutions.jsonl")
    found = {model: (round(report["accuracy"]["value"], 4), report["accuracy"]["n"]) for model, report in models.items()}
    assert found == {
        "6b_finetuning": (0.2168, 1319), "6b_verification": (0.3904, 1319),
        "175b_finetuning": (0.3472, 1319), "175b_verification": (0.5625, 1319),
    }  # fmt: skip
    assert all(report["agreement"]["value"] == 1 for report in models.values())


@pytest.mark.parametrize(
    ("files", "problems", "samples", "accuracy"),
    [
        (["tora_outputs/tora70b_gsm8k.jsonl"], 1319, 1319, 0.8408),
        (["tora_outputs/toracode34b_gsm8k.jsonl"], 1319, 1319, 0.8044),
        (["nemo_outputs/openmathinstruct2.test"], 100, 100, 1.0),
        ([f"nemo_outputs/output-rs{number}.jsonl" for number in range(3)], 5, 15, 13 / 15),
    ],
)
def test_other_outputs(shared: Path, checker: Checker, files: list[str], problems: int, samples: int, accuracy: float) -> None:
    (report,) = scored(checker, *(shared / "data" / file for file in files)).values()
    assert (report["problems"], report["samples"]) == (problems, samples)
    assert report["accuracy"]["value"] == pytest.approx(accuracy, abs=5e-5)
    assert report.get("agreement", {"value": 1})["value"] == 1


def test_pairs_of_the_checker_s(shared: Path, checker: Checker) -> None:
    (report,) = scored(checker, shared / "checker/real.jsonl").values()
    assert report["agreement"]["value"] > 0.99


def test_by_hand(tmp_path: Path, checker: Checker) -> None:
    path = write(
        tmp_path,
        # Two of four right and the majority wrong; the best score is on a right one, the sum of scores on the wrong answer.
        {"gt": "5", "response": ["#### 5", "#### 7", "#### 7", "#### 5.0"], "pred_score": [[0.4], [0.9], [0.9], [1.0]]},
        {
            "gt": "9",
            "response": ["I cannot tell.\n\nIt is open.", "#### 9", "#### 8", "#### 8"],
            "pred_score": [0.9, 0.1, 0.3, 0.1],
        },
    )
    (report,) = scored(checker, path).values()
    found = values(report)
    assert found["accuracy"] == found["pass@1"] == (2 / 4 + 1 / 4) / 2
    assert found["pass@2"] == pytest.approx(((1 - 1 / 6) + (1 - 3 / 6)) / 2)
    assert found["pass@4"] == 1
    assert found["maj@4"] == 0.5, "of equals, the answer that came first; 5 and 5.0 are one"
    assert found["no_answer"] == 1 / 8
    assert (found["best_by_score"], found["vote_by_score"]) == (0.5, 0.0)


def test_a_known_answer_that_does_not_parse_is_counted_and_named_and_not_scored(tmp_path: Path, checker: Checker) -> None:
    path = write(
        tmp_path,
        {"id": "a", "gold": "\\frac{1", "prediction": "\\boxed{\\frac{1}", "expected": True},
        {"id": "b", "gold": "2", "prediction": "\\boxed{2}", "expected": True},
    )
    (report,) = scored(checker, path).values()
    assert report["unscored"] == {"count": 1, "answers": {"a": "\\frac{1"}}
    assert (report["accuracy"]["value"], report["accuracy"]["n"]) == (1.0, 1)
    assert report["labelled"]["accuracy"]["n"] == 2


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([{"prompt": "1 + 1", "output": "2"}], "has prompt, output, which is no known form .* generation and expected_answer"),
        ([{"gold": None, "prediction": "2"}], "gold or prediction is null"),
        ([{"gt": "1", "response": 5}], "is no record of Qwen2.5-Math"),
        ([{"gt": "1", "response": ["1"], "score": [True, False]}], "is no record of Qwen2.5-Math"),
        ([{"gold": "1", "prediction": "1"}, {"gt": "1", "code": ["1"]}], "of several forms"),
        (["text"], "is no JSON object"),
        ([], "is empty"),
    ],
)
def test_what_is_no_output_is_told(tmp_path: Path, checker: Checker, records: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        scored(checker, write(tmp_path, *records))


def test_a_file_that_is_not_there(tmp_path: Path, checker: Checker) -> None:
    with pytest.raises(DataError, match=r"--from-outputs .*nowhere.jsonl: No such file"):
        scored(checker, tmp_path / "nowhere.jsonl")
