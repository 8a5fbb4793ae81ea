"""The checker as an object: deadlines, what it remembers, threads, forks, and nothing that is run."""

import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from rewards import equal
from rewards.algebra import arithmetic
from rewards.algebra.scalar import Policy
from rewards.equal import Checker, Verdict
from rewards.sandbox import Limits
from tests.rewards.pairs import DIFFERENT, EQUAL, pairs


def _check_sum(policy: Policy, n: int) -> str:
    return _INHERITED.check(rf"\sum_{{k=1}}^{{{n}}} k", str(n * (n + 1) // 2)).outcome


_INHERITED = Checker()


def test_a_fork_has_children_of_its_own(checker: Checker) -> None:
    assert _INHERITED.check(r"\sum_{k=1}^{10} k", "55").correct
    with get_context("fork").Pool(2) as pool:
        found = pool.starmap(_check_sum, [(checker.policy, n) for n in range(2, 10)])
    assert found == ["equal"] * 8


def test_nothing_in_an_answer_is_run(checker: Checker, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    for text in (
        f"open('{bait}','w')",
        f"__import__('os').system('touch {bait}')",
        f"[open('{bait}','w')]",
        f"\\input{{{bait}}}",
    ):
        assert not checker.check(text, "1").correct
    assert not bait.exists()


SAME_TEXTS = "rewards.algebra.compare:same_texts"


def test_long_comparisons_are_made_where_they_can_be_killed(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [checker.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)]
    monkeypatch.setattr(equal, "HERE_SECONDS", -1.0)
    monkeypatch.setattr(arithmetic, "STEPS", 1)
    fresh = Checker()
    assert [fresh.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)] == wanted
    fresh.close()
    late = Checker(limits=Limits(start_seconds=0.0))
    assert late.check("x+x", "2x") == Verdict("undecided", "structure", f"{SAME_TEXTS} was not there within 0 s", True)


def test_what_a_deadline_ended_is_not_remembered() -> None:
    roots = ",".join(rf"\sqrt{{{n}}}" for n in range(2, 110))
    powers = ",".join(f"{n}^.5" for n in range(109, 1, -1))
    sets = rf"\{{{roots}\}}", rf"\{{{powers}\}}"
    checker = Checker(limits=Limits(seconds=0.02))
    for answer, gold, stage in ((*sets, "structure"), (r"\prod_{n=1}^{9999} (1+\frac{1}{n^n})", "6", "symbolic")):
        verdict = checker.check(answer, gold)
        assert (verdict.outcome, verdict.stage, verdict.unfinished) == ("undecided", stage, True)
    assert not len(checker.verdicts)
    checker.close()


def test_verdicts_are_remembered_by_the_normal_form(monkeypatch: pytest.MonkeyPatch) -> None:
    checker = Checker(remembered_bytes=5_000)
    for answer in ("x+1", " $x + 1$. ", r"x\,+\,1"):
        assert checker.check(answer, "x+2").outcome == "different"
    assert len(checker.verdicts) <= 2, "`x+1` and `x + 1`"
    for number in range(100):
        checker.check(f"x+{number}", "x-1")
    assert checker.verdicts.bytes <= 5_000
    monkeypatch.setattr(equal, "same", None)
    assert checker.check("x+99", "x-1").outcome == "different"
    assert "the checker failed" in checker.check("x+1", "x-1").reason, "what was not used for longest went first"


def test_threads_agree(checker: Checker) -> None:
    wanted = [checker.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)]
    fresh, results = Checker(), {}

    def work(number: int) -> None:
        results[number] = [fresh.check(left, right) for left, right in pairs(EQUAL + DIFFERENT)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh.close()
    assert all(results[number] == wanted for number in range(8))
