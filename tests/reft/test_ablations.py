"""Altered chains by models that always use their steps, or never."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from reft.ablations import ALTERATIONS, _against, ablate, alter
from reft.tasks.running_total import RunningTotal
from reft.tasks.signed_sum import SignedSum
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.types import SamplingParams
from rollout.worker import Worker

T1 = RunningTotal(operands=6, train_size=1, dev_size=1, test_size=40)
TEST = list(T1.splits().test)
PARAMS = SamplingParams(max_tokens=200)


@contextmanager
def pool_of(task: RunningTotal | SignedSum, script: Callable[[str, int], str]) -> Iterator[LocalPool]:
    with closing(LocalPool(Worker(ScriptedEngine(script), Scorer([], Checker()), task.read))) as pool:
        yield pool


def operate(operation: str, total: int, digit: int) -> int:
    return {"+": total + digit, "-": total - digit, "*": total * digit}[operation] % 10


def uses(text: str, _: int) -> str:
    """Goes on from the last value that stands there; behind no step, it answers 0, and 0 is no problem's answer here."""
    prompt, _, chain = text.partition(" ?")
    operations = [prompt.split()[at : at + 3] for at in range(0, len(prompt.split()), 3)]
    words = chain.replace("#", "").split()
    total = int(words[-1]) if words else 0
    rest = ""
    if "#" not in chain:
        for letter, operation, digit in operations[len(words) // 3 :]:
            total = operate(operation, total, int(digit))
            rest += f" {letter} {digit} {total}"
        rest += " #"
    return f"{rest} {total}"


def ignores(text: str, number: int) -> str:
    """Computes the answer from the prompt, whatever stands behind it."""
    prompt, _, chain = text.partition(" ?")
    whole = uses(f"{prompt} ?", number)
    words = chain.split()
    return " " + whole.split()[-1] if "#" in words else " " + " ".join(whole.split()[len(words) :])


def measured(script: Callable[[str, int], str]) -> dict[str, dict[str, float]]:
    problems = [problem for problem in TEST if problem.answer != "0"]
    with pool_of(T1, script) as pool:
        samples = pool.sample(problems, 1, PARAMS, 0)
        assert all(sample.verdict.correct for sample in samples)
        return ablate(pool, T1, samples, PARAMS, 3)


def test_steps_that_are_used_cannot_be_spared() -> None:
    found = measured(uses)
    assert found["none"]["value"] == 1
    assert found["cut"]["value"] == 0
    assert found["filler"]["value"] == 0
    assert found["follow"]["value"] == 1
    assert found["shuffle"]["value"] < 0.4
    assert found["swap"]["value"] < 0.4
    assert found["natural"]["value"] == 1
    for how in ALTERATIONS[1:]:
        same = found["against"][how]
        assert (same["none"]["value"], same["none"]["n"], same["difference"]["n"]) == (1, found[how]["n"], found[how]["n"])
        assert same["difference"]["value"] == pytest.approx(found[how]["value"] - 1)
    assert found["none"]["n"] == found["cut"]["n"] == found["with_steps"] == found["chains"] > 30


def test_steps_that_are_not_used_make_no_difference() -> None:
    found = measured(ignores)
    assert [found[how]["value"] for how in ALTERATIONS] == [1] * len(ALTERATIONS)
    assert found["follow"]["value"] == 0


def test_chains_without_steps_are_left_out() -> None:
    with pool_of(T1, lambda *_: " # 3") as pool:
        found = ablate(pool, T1, pool.sample(TEST, 1, PARAMS, 0), PARAMS, 3)
    assert found == {"chains": 40, "with_steps": 0, "against": {}, "follow": None}


def test_altered_chains_are_held_against_the_same_ones_intact() -> None:
    found = _against({0: True, 2: False, 3: False}, {0: True, 1: False, 2: True, 3: True})
    assert (found["none"]["value"], found["none"]["n"]) == (1, 3)
    assert found["difference"]["value"] == pytest.approx(-2 / 3)


def test_what_stands_behind_steps_is_drawn_anew_and_the_whole_chain_is_not() -> None:
    """Who answers 0 behind given steps, though not of himself, gains nothing by those steps."""

    def forgets(text: str, number: int) -> str:
        return " 0" if text.endswith("#") else uses(text, number)

    kept: list[str] = []
    problems = [problem for problem in TEST if problem.answer != "0"]
    with pool_of(T1, forgets) as pool:
        samples = pool.sample(problems, 1, PARAMS, 0)
        found = ablate(pool, T1, samples, PARAMS, 3, lambda how, drawn: kept.extend([how] * len(drawn)))
    assert (found["natural"]["value"], found["none"]["value"]) == (1, 0)
    assert {kept.count(f"steps: {how}") for how in ("none", "cut", "half")} == {len(problems)}
    assert kept.count("steps: corrupted") == found["follow"]["n"]


def test_alterations_by_hand() -> None:
    steps, other = ["a 1 1", "b 2 3", "c 3 6"], ["a 9 9"]
    made = {how: alter(steps, how, other, random.Random(0)) for how in ALTERATIONS}
    assert made["none"] == steps
    assert made["cut"] == []
    assert made["half"] == ["a 1 1"]
    assert made["filler"] == ["0 0 0"] * 3
    assert made["swap"] == other
    assert made["shuffle"] != steps
    assert sorted(made["shuffle"]) == steps
    assert alter(["x", "x"], "shuffle", [], random.Random(0)) == ["x", "x"], "there is no other order"
    with pytest.raises(ValueError, match="no alteration is called 'drop'; choose from none, cut"):
        alter(steps, "drop", other, random.Random(0))


def test_a_corrupted_value_changes_the_answer() -> None:
    for problem in TEST:
        chain = T1._chain(problem, long=True)
        corruption = T1.corrupt(problem, chain)
        assert corruption is not None
        assert not chain.startswith(corruption.prefix), "it is not what stood there"
        assert not corruption.follows(chain), "the chain went on from the true one"
        assert corruption.follows(corruption.prefix + uses(f"{problem.prompt}{' ' + corruption.prefix}", 0))
    assert T1.corrupt(TEST[0], "# 3") is None


def test_tries_are_the_steps_of_a_search() -> None:
    task = SignedSum()
    (problem,) = [problem for problem in task._problems() if problem.prompt == "a 5 b 3 c 4 > 4 ?"]
    chain = "b - 3 2 c + 4 6 x b + 3 8 c - 4 4 ok"
    assert task.steps(problem, chain) == ["b - 3 2 c + 4 6 x"]
    assert task.steps(problem, "b + 3 8 c - 4 4 ok") == []
    assert task.steps(problem, "b + 3") is None
    assert task.difficulty(problem) == 5 / 2
    corruption = task.corrupt(problem, chain)
    assert corruption is not None
    assert corruption.prefix == "b - 3 2 c + 4 6 x b + 3 9"
    assert corruption.follows(corruption.prefix + " c - 4 5 x")
    assert corruption.follows(corruption.prefix + " c + 4 13 x")
    assert not corruption.follows(corruption.prefix + " c - 4 4 ok")
    assert not corruption.follows(corruption.prefix)


def test_behind_altered_tries_there_is_one_more() -> None:
    task = SignedSum()
    problems = [problem for problem in task._problems() if problem.prompt == "a 5 b 3 c 4 > 4 ?"]
    asked: list[SamplingParams] = []
    with pool_of(task, lambda *_: "b - 3 2 c + 4 6 x b + 3 8 c - 4 4 ok") as pool:
        samples, sample = pool.sample(problems, 1, PARAMS, 0), pool.sample
        pool.sample = lambda problems, n, params, seed, progress=None: (  # type: ignore[method-assign]
            asked.append(params) or sample(problems, n, params, seed)  # type: ignore[func-returns-value]
        )
        ablate(pool, task, samples, PARAMS, 0)
    assert {params.stop for params in asked} == {(" x", " ok")}
