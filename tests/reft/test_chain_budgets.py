"""Budgets of chains that make no tries, and budgets that are asked for, in closed form."""

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from reft.chain_table import print_chains
from reft.chains import Measured, compare, describe, measure
from reft.flops import Cost
from reft.tasks import BudgetedTask
from reft.tasks.running_total import RunningTotal
from reft.tasks.signed_sum import SignedSum
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker
from tests.rollout.characters import Characters

STEPS = RunningTotal(operands=3, train_size=1, dev_size=1, test_size=4)
TOTALS = STEPS.splits().test
KNOWN = {problem.prompt: STEPS._chain(problem, long=True) for problem in TOTALS}
Script = Callable[[str, int], str]


def thinker(jumps: bool) -> Script:
    """Writes steps and an answer, 21 characters, or, every other time if it `jumps`, a wrong answer alone. Asked behind two
    steps it knows the answer, before that it says nothing; behind all of them it answers."""

    def script(text: str, number: int) -> str:
        prompt, _, prefix = text.partition("?")
        chain = KNOWN[prompt + "?"]
        if not prefix:
            return f"# {(int(chain[-1]) + 1) % 10}" if jumps and number % 2 else chain
        if prefix == chain[:-4]:
            return chain[-4:]
        return f" {chain[-1]}" if prefix.endswith("#") and prefix.startswith(chain[:11]) else ""

    return script


def study(script: Script) -> Measured:
    params = SamplingParams(max_tokens=100)
    with closing(LocalPool(Worker(ScriptedEngine(script), Scorer([], Checker()), STEPS.read))) as pool:
        return measure(pool, STEPS, TOTALS, params, 2, 0, 4, Cost(1.0, 0.0), Checker(), Characters())


def table(found: Measured, name: str) -> list[tuple[int, float, float]]:
    return [(point.budget, point.tokens, sum(point.right) / len(point.right)) for point in found.curves[name]]


def test_thinking_is_cut_at_tokens() -> None:
    found = study(thinker(jumps=False))
    # What asks for the answer is not drawn; nothing is an end token, an answer two characters and one.
    assert table(found, "cap") == [(1, 2, 0), (2, 3, 0), (4, 5, 0), (8, 9, 0), (16, 19, 1), (22, 22, 1)]
    assert found.natural.tokens == 22
    assert found.curves["cap"][-1].right == found.natural.right
    assert found.curves["cap"][-1].flops == found.natural.flops, "who is not cut costs what he does"
    # One operation a token that is put in: the prompt, those kept, what asks, and the answer but for its last.
    prompt = len(TOTALS[0].prompt)
    assert found.curves["cap"][4].flops == pytest.approx(prompt + 16 + len("#") + 3 - 1)


def test_answers_that_are_taken_away_with_their_ends_are_given_again() -> None:
    """Whoever has done all there is to do has nothing to think further, and pays for saying so."""
    found = study(thinker(jumps=False))
    again = len(" # 3") + 1
    assert table(found, "wait") == [(1, 22, 1), (2, 22 + again, 1), (4, 22 + 3 * again, 1)]
    content = describe(found, STEPS)
    curves = {curve["strategy"]: curve for curve in content["curves"]}
    assert {name: curve["unit"] for name, curve in curves.items()} == {
        "cap": "tokens", "wait": "ends", **dict.fromkeys(("chain_vote", "chain_weighted", "chain_oracle"), "chains"),
    }  # fmt: skip
    assert [point["beyond_natural"] for point in curves["wait"]["points"]] == [False, True, True]
    assert curves["wait"]["gains_until"] == 1
    assert curves["cap"]["gains_until"] == 16
    assert not any(point["beyond_natural"] for point in curves["cap"]["points"])
    assert content["scaling"]["cap"] is None, "what is gained up to the natural length is no scaling"
    assert content["scaling"]["wait"]["gain"]["value"] == 0
    assert content["sequential"] == []
    assert set(content["quality"]) == {"repeated_tries", "verdict_error", "trace_error"}, "there are no tries to be new"


def test_who_answers_at_a_glance_is_not_cut() -> None:
    found = study(thinker(jumps=True))
    glance = 4  # characters, the end token included
    assert table(found, "cap") == [
        (1, (2 + glance) / 2, 0), (2, (3 + glance) / 2, 0), (4, (5 + glance) / 2, 0), (8, (9 + glance) / 2, 0),
        (16, (19 + glance) / 2, 0.5), (22, (22 + glance) / 2, 0.5),
    ]  # fmt: skip


def test_the_first_end_is_not_beyond_the_natural_length() -> None:
    content = describe(study(thinker(jumps=True)), STEPS)
    (wait,) = [curve for curve in content["curves"] if curve["strategy"] == "wait"]
    assert content["natural"]["tokens_per_query"] == 13
    assert [point["tokens_per_query"] for point in wait["points"]] == [22, 27, 37], "by chance, the first chains do not jump"
    assert [point["beyond_natural"] for point in wait["points"]] == [False, True, True]


def test_gain_at_matched_tokens_and_by_going_on() -> None:
    before, after = study(thinker(jumps=True)), study(thinker(jumps=False))
    gain = compare(before, after, STEPS)
    matched = math.log2(13 / 9) / math.log2(19 / 9)  # the cut curve at the first one's 13 tokens
    assert gain["total"]["value"] == 0.5
    assert gain["quality"]["value"] == pytest.approx(matched - 0.5)
    assert gain["persistence"]["value"] == pytest.approx(1 - matched)
    assert [point["budget"] for point in gain["matched"]["cap"]] == [1, 2, 4, 8, 16, 22]
    assert gain["matched"]["cap"][4]["gain"]["value"] == 0.5
    assert gain["easiest"] is None, "all problems are as difficult"


def test_tables_of_chains_without_tries(capsys: pytest.CaptureFixture[str]) -> None:
    found = study(thinker(jumps=False))
    extra = {
        "checkpoint": "step_1",
        "split": "test",
        "ablations": None,
        "compute": {"training_flops": None},
        "file": "chains.json",
    }
    gain = {"before": "warmup"} | compare(study(thinker(jumps=True)), found, STEPS)
    print_chains([describe(found, STEPS) | extra | {"gain": gain}])
    text = capsys.readouterr().out
    assert "scaling by cut at so many tokens: none" in text
    assert "scaling by ends taken away: +0.000" in text
    assert "gain at equal budgets, cut at so many tokens: 1: +0.000" in text
    assert "…" not in text


@dataclass(frozen=True)
class Asked(SignedSum):
    def budgets(self) -> tuple[int, ...]:
        return (1, 2)

    def asked(self, problem: Problem, budget: int) -> Problem:
        return replace(problem, prompt=f"{budget} {problem.prompt}")


def obey(text: str, number: int) -> str:
    """So many tries as are asked for, one more where the first digit is 1; the first is wrong, the others right."""
    asked, _, problem = text.rpartition("a ")
    digits = [int(word) for word in problem.split() if word.isdigit()][:3]
    one, two = digits[0] + digits[1], digits[0] + digits[1] + digits[2]
    right = f" b + {digits[1]} {one} c + {digits[2]} {two} ok"
    wrong = f" b - {digits[1]} {digits[0] - digits[1]} c - {digits[2]} {digits[0] - digits[1] - digits[2]} x"
    return wrong + right * (int(asked or 1) - 1 + (digits[0] == 1))


def test_tries_asked_for_and_used(capsys: pytest.CaptureFixture[str]) -> None:
    task = Asked()
    assert isinstance(task, BudgetedTask)
    assert not isinstance(STEPS, BudgetedTask)
    sums = [problem for problem in task._problems() if int(problem.answer) == sum(problem.columns["digits"])]
    ones = [problem for problem in sums if problem.columns["digits"][0] == 1][:1]
    problems = ones + [problem for problem in sums if problem.columns["digits"][0] > 1][:3]
    params = SamplingParams(max_tokens=300)
    with closing(LocalPool(Worker(ScriptedEngine(obey), Scorer([], Checker()), task.read))) as pool:
        found = measure(pool, task, problems, params, 1, 0, 1, Cost(1.0, 0.0), Checker(), Characters())
    assert [value for _, _, value in table(found, "ask")] == [0.25, 1]
    content = describe(found, task)
    (ask,) = [curve for curve in content["curves"] if curve["strategy"] == "ask"]
    assert ask["unit"] == "tries"
    assert [point["used"]["value"] for point in ask["points"]] == [1.25, 2.25]
    assert [point["control"]["value"] for point in ask["points"]] == [0.75, 0.75]
    assert {point["control"]["n"] for point in ask["points"]} == {4}
    assert [point["used"]["low"] < 1.25 < point["used"]["high"] for point in ask["points"]] == [True, False]
    assert [point["beyond_natural"] for point in ask["points"]] == [False, True], "a prompt is none of the chain"
    print_chains(
        [
            content
            | {
                "checkpoint": "step_1",
                "split": "test",
                "ablations": None,
                "compute": {"training_flops": None},
                "file": "chains.json",
            }
        ]
    )
    text = capsys.readouterr().out
    assert "Tries asked for, and used" in text
    assert "0.750" in text


def test_settings_that_show_no_budgets_ask_for_none() -> None:
    class Silent(Asked):
        def budgets(self) -> tuple[int, ...]:
            return ()

    task = Silent()
    with closing(LocalPool(Worker(ScriptedEngine(obey), Scorer([], Checker()), task.read))) as pool:
        found = measure(
            pool, task, task._problems()[:2], SamplingParams(max_tokens=300), 1, 0, 1, Cost(1.0, 0.0), Checker(), Characters()
        )
    assert "ask" not in found.curves
