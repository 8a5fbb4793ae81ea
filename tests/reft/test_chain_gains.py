"""What chains gain on others, what they cost and hold: each figure where a slip would show."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy
import pytest

from reft.chain_curves import Bench, Point, make_point, spent, taken
from reft.chain_lengths import lengths, slope_change
from reft.chain_table import _queries, print_chains
from reft.chains import Measured, break_evens, compare, describe, equal_accuracy, equal_tokens, quality
from reft.flops import Cost
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.search.forcing import force
from rollout.types import Problem, Sample
from rollout.worker import Worker
from tests.reft.test_chains import PARAMS, PROBLEMS, TASK, study, tries

Script = Callable[[str, int], str]
KNOWN = {problem.prompt: tries(problem) for problem in PROBLEMS}


def drawn(script: Script, n: int, problems: Sequence[Problem] = PROBLEMS) -> list[list[Sample]]:
    with closing(LocalPool(Worker(ScriptedEngine(script), Scorer([], Checker()), TASK.read))) as pool:
        return [pool.sample([problem], n, PARAMS, 0) for problem in problems]


def measured(natural: Point, **curves: list[Point]) -> Measured:
    return Measured(natural, [], curves, dict.fromkeys(curves, "tries"))


def test_one_chain_against_several_at_as_many_tokens() -> None:
    """Between budgets along log2 of tokens, or at all that they take; whose first takes more is not compared."""
    short = [Point(1, 8, 0, (0.0, 0.0)), Point(2, 32, 0, (1.0, 0.0))]
    waits = [Point(1, 4, 0, (0.0, 0.0)), Point(4, 64, 0, (1.0, 1.0))]
    found = measured(Point(1, 16, 0, (1.0, 1.0)), wait=waits, one_try_vote=short, chain_oracle=short)
    rows = [
        (row["budget"], row["against"], row["tokens_per_query"], row["their_tokens"], row["gain"]["value"])
        for row in equal_tokens(found)
    ]
    assert rows == [
        (None, "one_try_vote", 16, 16, 0.75), (4, "one_try_vote", 64, 32, 0.5), (4, "chain_oracle", 64, 32, 0.5)
    ]  # fmt: skip
    assert equal_tokens(found)[0]["gain"]["n"] == 2


def test_votes_of_the_first_ones_chains_against_the_second_ones_natural_length() -> None:
    before, after = study(patience=2), study(patience=4)
    rows = {row["against"]: row for row in compare(before, after, TASK)["equal_tokens"]}
    assert rows["chain_vote"]["tokens_per_query"] == after.natural.tokens
    assert rows["chain_vote"]["gain"]["value"] == 1
    same = {row["against"]: row for row in compare(after, after, TASK)["equal_tokens"]}
    assert same["chain_oracle"]["gain"]["value"] == 0


def test_equal_chains_gain_nothing() -> None:
    found = study(patience=4)
    gain = compare(found, found, TASK)
    for part in ("total", "quality", "persistence"):
        assert gain[part]["value"] == 0
    assert gain["total"]["low"] < 0 < gain["total"]["high"]


def test_matched_tokens_are_the_first_ones() -> None:
    before = measured(Point(1, 16, 0, (0.0, 0.0)))
    after = measured(Point(1, 64, 0, (1.0, 1.0)), cap=[Point(1, 4, 0, (0.0, 0.0)), Point(2, 16, 0, (1.0, 0.0))])
    before = replace(before, samples=drawn(lambda *_: " b", 1, PROBLEMS[:2]))
    gain = compare(before, replace(after, samples=before.samples), TASK)
    assert (gain["quality"]["value"], gain["persistence"]["value"]) == (0.5, 0.5)


def test_what_a_query_takes_at_equal_accuracy() -> None:
    """Neither an oracle, nor a way that costs more, says what an accuracy costs."""
    before = measured(
        Point(1, 16, 160, (1.0, 0.0)), wait=[Point(2, 64, 640, (1.0, 1.0))], chain_oracle=[Point(2, 20, 200, (1.0, 1.0))]
    )
    after = measured(Point(1, 32, 320, (1.0, 1.0)), cap=[Point(1, 8, 80, (0.0, 1.0))])
    rows = equal_accuracy(before, after)
    assert [row["accuracy"]["value"] for row in rows] == [0.5, 1]
    assert [row["tokens_per_query"] for row in rows] == [[16, 8], [64, 32]]
    assert [row["flops_per_query"] for row in rows] == [[160, 80], [640, 320]]
    never = equal_accuracy(measured(Point(1, 16, 160, (1.0, 0.0))), after)
    assert never[1]["tokens_per_query"] == [None, 32]


def test_break_even_of_two_policies() -> None:
    """An oracle buys nothing; whichever has cost more to train is the later one."""
    wait = [Point(budget, 8 * budget, 80 * budget, (1.0, 0.0)) for budget in (1, 2)] + [Point(4, 64, 640, (1.0, 1.0))]
    oracle = [Point(2, 1, 10, (1.0, 1.0))]
    before = measured(Point(1, 16, 160, (0.0, 0.0)), wait=wait, chain_oracle=oracle)
    after = measured(Point(1, 24, 240, (1.0, 1.0)), cap=[Point(budget, 8, 80, (0.0, 0.0)) for budget in (1, 2, 4)])
    rows = break_evens(before, after, ("a", "b"), (1000.0, 5000.0)) or []
    assert rows[-1]["accuracy"] == 1
    assert rows[-1]["query"] == (640, 240)
    assert rows[-1]["queries"] == 10
    assert not rows[-1]["never"]
    swapped = break_evens(before, after, ("a", "b"), (5000.0, 1000.0)) or []
    assert (swapped[-1]["earlier"], swapped[-1]["never"], swapped[-1]["queries"]) == ("b", True, None)
    assert break_evens(before, after, ("a", "b"), (None, 5000.0)) is None, "nobody counted"
    few = replace(after, curves={"cap": after.curves["cap"][:2]})
    assert break_evens(before, few, ("a", "b"), (1000.0, 5000.0)) is None, "two points are no curve"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"queries": 1234.0, "low": 2.0, "high": None, "query": (9, 8), "never": False}, "1.23e+03 [2, never]"),
        ({"queries": None, "low": 0.0, "high": None, "query": (8, 9), "never": True}, "never [0, never]"),
        ({"queries": None, "low": 0.0, "high": 0.0, "query": (None, 9), "never": False}, "only training reaches it"),
        ({"queries": None, "low": 0.0, "high": None, "query": (8, None), "never": False}, "only the earlier one reaches it"),
        ({"queries": None, "low": 0.0, "high": None, "query": (None, None), "never": False}, "–"),
    ],
)
def test_break_even_in_words(row: dict[str, Any], told: str) -> None:
    assert _queries(row) == told


def test_length_may_grow_more_where_problems_are_hard() -> None:
    easy = [problem for problem in TASK._problems() if len(TASK._solutions(problem)) == 2][:3]
    problems = [*PROBLEMS[:3], *easy]
    prompts = {problem.prompt for problem in easy}
    before = drawn(lambda *_: " b", 1, problems)
    after = drawn(lambda text, _: " b" * (1 if text in prompts else 6), 1, problems)
    found = slope_change(before, after, TASK)
    assert found is not None
    assert found["value"] == pytest.approx(10 / (5 / 2 - 5 / 3))
    none = slope_change(before, before, TASK)
    assert none is not None
    assert none["value"] == 0


def test_a_weighted_vote_counts_how_sure_the_policy_was() -> None:
    (group,) = drawn(lambda prompt, number: KNOWN[prompt][2 if number == 2 else number // 2], 3, PROBLEMS[:1])
    assert [sample.verdict.correct for sample in group] == [False, False, True]
    sure = [
        replace(one, completion=replace(one.completion, logprobs=numpy.full(len(one.completion.tokens), value)))
        for one, value in zip(group, (-2.0, -2.0, -0.1), strict=True)
    ]
    bench = Bench(LocalPool(None), PROBLEMS[:1], PARAMS, 0, Cost(1.0, 0.0))  # type: ignore[arg-type]
    curves = bench.repeated("chain", [sure], [[spent(one) for one in sure]], Checker())
    assert {name: points[-1].right for name, points in curves.items()} == {
        "chain_vote": (0.0,), "chain_weighted": (1.0,), "chain_oracle": (1.0,),
    }  # fmt: skip


def test_many_chains_cost_their_tokens_and_one_prompt() -> None:
    point = make_point(3, [[(7, 5)], [(9, 3)]], [1.0, 0.0], Cost(1.0, 0.0), chains=3)
    assert point.tokens == 3 * (5 + 3) / 2
    assert point.flops == ((7 + 3 * 4) + (9 + 3 * 2)) / 2


def test_a_prefix_is_not_of_the_prompt() -> None:
    """What was drawn at an earlier attempt is not paid for twice."""
    with closing(LocalPool(Worker(ScriptedEngine(lambda text, _: (
        "" if text.count("x") > 1 else " b + 1 1 c + 1 1 x"
    )), Scorer([], Checker()), TASK.read))) as pool:  # fmt: skip
        ((first, second),) = force(pool, PROBLEMS[:1], PARAMS, 0, 2, TASK.form())
    assert second.sample.completion.prefix_length == first.tokens
    assert spent(second.sample)[0] == spent(first.sample)[0] == len(PROBLEMS[0].prompt)
    assert (first.tokens, taken(first, TASK.form())) == (18, 19), "an end that nobody has drawn"


def test_an_end_that_was_drawn_is_not_counted_twice() -> None:
    with closing(LocalPool(Worker(ScriptedEngine(lambda *_: " b + 1"), Scorer([], Checker()), TASK.read))) as pool:
        ((forced,),) = force(pool, PROBLEMS[:1], PARAMS, 0, 1, TASK.form(), wait=False)
    assert taken(forced, TASK.form()) == forced.tokens == 7


def holds(prompt: str, number: int) -> str:
    """The first chain makes a try twice and then the right one; the second is right by a wrong sum."""
    own = KNOWN[prompt]
    if number == 0:
        return own[0] + own[0] + own[2]
    words = own[2].split()
    return " " + " ".join([*words[:3], str(int(words[3]) + 1), *words[4:]])


def test_repeats_and_wrong_steps_are_found() -> None:
    found = quality(drawn(holds, 2), TASK)
    assert found is not None
    assert found["repeated_tries"]["value"] == 1 / 4, "one of four tries, in two chains"
    assert found["repeated_tries"]["n"] == 4 * len(PROBLEMS)
    assert found["trace_error"]["value"] == 1 / 2, "both are right, and one by a wrong step"


def test_right_and_wrong_chains_have_their_lengths() -> None:
    found = lengths(drawn(lambda prompt, number: KNOWN[prompt][0] * 2 if number else KNOWN[prompt][2], 2))
    right, wrong = ([len(own[place]) for own in KNOWN.values()] for place in (2, 0))
    assert found["right"]["value"] == pytest.approx(sum(right) / len(right) + 1)
    assert found["wrong"]["value"] == pytest.approx(2 * sum(wrong) / len(wrong) + 1)
    assert found["right"]["n"] == found["wrong"]["n"] == len(PROBLEMS)


def test_a_loss_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    found = study(patience=2)
    natural = replace(found.natural, right=(1.0,) * len(PROBLEMS))
    extra = {"checkpoint": "step_1", "split": "test", "ablations": None, "file": "x", "compute": {"training_flops": None}}
    lost = [replace(point, right=(0.0,) * len(PROBLEMS)) for point in found.curves["wait"]]
    print_chains([describe(replace(found, natural=natural, curves=found.curves | {"wait": lost}), TASK) | extra])
    assert "scaling by tries cut and called for: -1.000 [-1.000, -0." in (text := capsys.readouterr().out)
    assert "budget 4, a loss" in text
