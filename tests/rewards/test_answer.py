import pytest

from rewards.answer import after_marker, boxed, hashes, last_number, reft


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so 3 + 4 = 7\nTherefore, the answer is: 7", "7"),
        ("Therefore, the answer is: 3\nno\nTherefore, the answer is: 203.0", "203.0"),
        ("Therefore, the answer is: 7.\nThat is all.", "7"),
        ("the answer is 7", None),
        ("Therefore, the answer is: ", None),
        ("", None),
    ],
)
def test_reft(text: str, answer: str | None) -> None:
    assert reft(text) == answer


def test_hashes_takes_the_last_line_only() -> None:
    assert hashes("#### 3\nwait\n#### 1,200\nignored 7") == "1,200"
    assert hashes("## 3") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{7}", "7"),
        (r"\boxed{1} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\text{a {b} c}}", r"\text{a {b} c}"),
        (r"\boxed{6}, \boxed{6}", "6"),
        (r"\boxed{3} and \boxed{4", "3 , 4"),
        (r"\boxed{3}. No, \boxed{4}", "4"),
        (r"\boxed{}", None),
        ("no box", None),
    ],
)
def test_boxed(text: str, answer: str | None) -> None:
    assert boxed(text) == answer


def test_boxed_is_linear_in_hostile_text() -> None:
    assert boxed(r"\boxed{" * 200_000) is None


@pytest.mark.parametrize(
    ("text", "answer"), [("costs $1,234.50 in all", "1,234.50"), ("-3 or 5/7", "5/7"), ("one, 2, three", "2"), ("x", None)]
)
def test_last_number(text: str, answer: str | None) -> None:
    assert last_number(text) == answer


def test_a_whole_page_is_no_answer() -> None:
    assert after_marker("#### " + "9" * 3000, "####") is None
