"""Length shaping by hand."""

import pytest

from rewards.builtin import cosine, overlong, repetition


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


def test_repetition_by_hand() -> None:
    assert repetition([[1, 2, 3, 4, 5], [1, 2, 1, 2, 1], [7], []], ngram=2) == pytest.approx([0.0, -0.5, 0.0, 0.0])
    assert repetition([[3] * 10], ngram=4) == pytest.approx([-6 / 7])
    with pytest.raises(ValueError, match="ngram=0"):
        repetition([], ngram=0)
