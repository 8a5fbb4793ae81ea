"""ReFT's reward with its traps, and length shaping, by hand."""

import pytest

from rewards.builtin import cosine, overlong, reft_exact, repetition


def chains(*lengths: int) -> list[list[int]]:
    return [list(range(length)) for length in lengths]


def test_overlong_by_hand() -> None:
    assert overlong(chains(0, 60, 80, 90, 100, 120), longest=100, buffer=20) == [0, 0, 0, -0.5, -1, -1]
    with pytest.raises(ValueError, match="buffer=0"):
        overlong([], longest=10, buffer=0)


def test_cosine_by_hand() -> None:
    verdicts = ["equal", "equal", "equal", "equal", "different", "different", "no_answer"]
    found = cosine(chains(0, 50, 100, 200, 0, 100, 50), verdicts, longest=100)
    assert found == pytest.approx([1.0, 0.75, 0.5, 0.5, -1.0, -0.5, -0.75])
    paper = {"right": (2.0, 1.0), "wrong": (-10.0, 0.0), "exceeded": -10.0}
    found = cosine(chains(0, 50, 100, 99, 100), ["equal", "different", "equal", "different", "different"], 100, **paper)
    assert found == pytest.approx([2.0, -5.0, -10.0, 0.0, -10.0], abs=0.01)
    for longest in (0, -10):
        with pytest.raises(ValueError, match=f"longest={longest}"):
            cosine([], [], longest=longest)
    with pytest.raises(ValueError, match=r"right=\[1\] is no pair"):
        cosine([], [], longest=9, right=[1])


def test_repetition_by_hand() -> None:
    assert repetition([[1, 2, 3, 4, 5], [1, 2, 1, 2, 1], [7], []], ngram=2) == pytest.approx([0.0, -0.5, 0.0, 0.0])
    assert repetition([[3] * 10], ngram=4) == pytest.approx([-6 / 7])
    with pytest.raises(ValueError, match="ngram=0"):
        repetition([], ngram=0)


@pytest.mark.parametrize(
    ("chain", "known", "reward"),
    [
        ("5 - 2\nTherefore, the answer is: 3", "3.0", 1.0),
        ("\nTherefore, the answer is: 4\nTherefore, the answer is: 3.009", "3.0", 1.0),
        ("\nTherefore, the answer is: 3.02", "3.0", 0.1),
        ("\nTherefore, the answer is: nan", "3.0", 0.1),
        ("\nTherefore, the answer is: 1,000", "1000.0", 0.0),
        ("3", "3.0", 1.0),
        ("three", "3.0", 0.0),
        ("\nTherefore, the answer is: 1080", "1,080", 1.0),
    ],
)
def test_the_paper_s_reward_traps_included(chain: str, known: str, reward: float) -> None:
    assert reft_exact([chain], [known], [None]) == [reward]


def test_the_paper_s_reward_of_programs_is_for_what_they_return() -> None:
    found = ["5", "5.005", "6", "five", None]
    assert reft_exact(["return 5"] * 5, ["5.0"] * 5, found, programs=True) == [1.0, 1.0, 0.1, 0.0, 0.0]
    assert reft_exact(["return x"] * 3, ["0.5"] * 3, ["1/2", "1/3", "1/0"], programs=True) == [1.0, 0.1, 0.0]
    assert reft_exact(["1/2"], ["0.5"], [None]) == [0.0], "a text is read by float alone"
    assert reft_exact(["return 'b'"] * 3, ["b"] * 3, ["B", "a", None], programs=True, choices=True) == [1.0, 0.1, 0.1]


def test_a_known_answer_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="'b' is no number"):
        reft_exact(["x"], ["b"], [None])


def test_the_paper_s_reward_of_choices_is_never_none() -> None:
    chains = ["\nTherefore, the answer is: 'B'", "\nTherefore, the answer is: a", "\nTherefore, the answer is: none"]
    assert reft_exact(chains, ["b"] * 3, [None] * 3, choices=True) == [1.0, 0.1, 0.1]
