"""What chains show, by a scripted searcher whose every number is known."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from reft.chain_curves import Point, at_tokens, plain_curve
from reft.chain_lengths import difficulty, easiest_growth
from reft.chain_table import print_chains
from reft.chains import Measured, compare, describe, measure, scaling
from reft.flops import Cost
from reft.tasks.signed_sum import SignedSum
from rewards.equal import Checker
from rewards.scorer import Scorer
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.types import Problem, SamplingParams
from rollout.worker import Worker
from tests.rollout.characters import Characters

TASK = SignedSum()
PROBLEMS = [problem for problem in TASK._problems() if len(TASK._solutions(problem)) == 1][:6]
PARAMS = SamplingParams(max_tokens=1000)
CHARACTERS = Characters()


def tries(problem: Problem) -> list[str]:
    """All tries, the right one third."""
    leaves = [signs for signs in TASK._solutions(problem)]
    others = [(a, b) for a in "+-" for b in "+-" if (a, b) not in leaves]
    chains = []
    for first, second in [*others[:2], leaves[0], *others[2:]]:
        digits = problem.columns["digits"]
        one = digits[0] + digits[1] * (1 if first == "+" else -1)
        two = one + digits[2] * (1 if second == "+" else -1)
        verdict = "ok" if str(two) == problem.answer else "x"
        chains.append(f" b {first} {digits[1]} {one} c {second} {digits[2]} {two} {verdict}")
    return chains


class Searcher(ScriptedEngine):
    """Makes its tries in turn and ends when satisfied, or after `patience` of them where it is not made to go on."""

    def __init__(self, patience: int, problems: Sequence[Problem] = PROBLEMS) -> None:
        super().__init__(lambda text, number: "")
        self.patience = patience
        self.known = {problem.prompt: tries(problem) for problem in problems}

    def generate(self, prompts, n, params, seed, prefixes=None, listener=None):  # type: ignore[no-untyped-def]
        def script(text: str, number: int) -> str:
            prompt, _, chain = text.partition(" ?")
            done = sum(word in ("x", "ok") for word in chain.split())
            if chain.endswith("ok") or (done >= self.patience and not params.min_tokens):
                return ""
            rest = self.known[prompt + " ?"][done : done + 1 if params.stop else self.patience]
            for place, one in enumerate(rest):
                if one.endswith("ok"):
                    rest = rest[: place + 1]
            return "".join(rest)

        self.script = script
        return super().generate(prompts, n, params, seed, prefixes, listener)


@contextmanager
def pool_of(patience: int) -> Iterator[LocalPool]:
    with closing(LocalPool(Worker(Searcher(patience), Scorer([], Checker()), TASK.read))) as pool:
        yield pool


def study(patience: int) -> Measured:
    with pool_of(patience) as pool:
        return measure(pool, TASK, PROBLEMS, PARAMS, 2, 0, 4, Cost(1.0, 0.0), Checker(), CHARACTERS)


def shares(measured: Measured, name: str) -> list[float]:
    return [sum(point.right) / len(point.right) for point in measured.curves[name]]


def test_curves_of_one_who_gives_up() -> None:
    found = study(patience=2)
    assert sum(found.natural.right) == 0
    assert shares(found, "cap") == [0, 0, 0]
    assert shares(found, "wait") == [0, 0, 1], "the third of four tries is right"
    assert shares(found, "one_try_oracle") == [0, 0, 0], "the first try is wrong, however often it is made"
    assert shares(found, "chain_vote") == [0, 0]
    content = describe(found, TASK)
    assert content["natural"]["tries"] == 2
    assert content["scaling"]["cap"] is None
    assert content["scaling"]["wait"]["gain"]["value"] == 1
    assert [point["gain"]["value"] for point in content["sequential"]] == [0, 0, 1]
    wait = next(curve for curve in content["curves"] if curve["strategy"] == "wait")
    assert [point["beyond_natural"] for point in wait["points"]] == [False, False, True]
    assert [point["budget"] for point in wait["points"]] == [1, 2, 4]
    assert content["quality"]["verdict_error"]["value"] == content["quality"]["repeated_tries"]["value"] == 0
    new = content["quality"]["new_tries_per_token"]
    assert new["value"] == pytest.approx(2 / found.natural.tokens), "two tries a chain, none of them again"
    assert {curve["strategy"]: curve["unit"] for curve in content["curves"]} == {
        "cap": "tries", "wait": "tries",
        **{f"{what}_{how}": "chains" for what in ("one_try", "chain") for how in ("vote", "weighted", "oracle")},
    }  # fmt: skip


def test_a_query_costs_its_prompt_once_and_all_that_is_drawn() -> None:
    found = study(patience=2)
    lengths = [[len(one) for one in tries(problem)] for problem in PROBLEMS]
    prompts = [len(problem.prompt) for problem in PROBLEMS]
    natural = sum(sum(own[:2]) + 1 for own in lengths) / len(PROBLEMS)
    assert found.natural.tokens == pytest.approx(natural)
    (one, two) = found.curves["chain_vote"]
    assert (one.tokens, two.tokens) == pytest.approx((natural, 2 * natural))
    # One operation a token that is put in: the last of a chain is not.
    assert found.natural.flops == pytest.approx(natural - 1 + sum(prompts) / len(PROBLEMS))
    wait = found.curves["wait"][2]
    drawn = sum(sum(own[:3]) + 1 for own in lengths) / len(PROBLEMS)
    assert wait.tokens == pytest.approx(drawn), "an end that is forced is a token, too"
    assert found.curves["cap"][1].tokens == found.natural.tokens, "two tries cost what they do where nobody cuts them"
    assert found.curves["cap"][1].flops == found.natural.flops


def test_gain_is_quality_and_persistence() -> None:
    before, after = study(patience=2), study(patience=4)
    gain = compare(before, after, TASK)
    assert gain["total"]["value"] == 1
    assert gain["quality"]["value"] + gain["persistence"]["value"] == pytest.approx(gain["total"]["value"])
    assert gain["quality"]["value"] == 0, "the first two tries are the same, and cost as much"
    assert [point["gain"]["value"] for point in gain["matched"]["wait"]] == [0, 0, 0], "who is made to go on is as good"
    assert [point["gain"]["value"] for point in gain["matched"]["cap"]] == [0, 0, 1]
    assert gain["matched"]["cap"][2]["gain"]["n"] == len(PROBLEMS)


def test_between_two_points_by_doublings() -> None:
    points = [Point(1, 8, 0, (0.0, 1.0)), Point(2, 32, 0, (1.0, 1.0))]
    assert at_tokens(points, 16) == pytest.approx([0.5, 1])
    assert at_tokens(points, 4) == [0, 1]
    assert at_tokens(points, 64) == [1, 1]


def test_a_curve_says_where_its_gains_end() -> None:
    levels = {1: 0, 2: 40, 4: 80, 8: 80, 16: 81}
    points = [Point(budget, 10 * budget, 0, tuple([1.0] * right + [0.0] * (100 - right))) for budget, right in levels.items()]
    found = plain_curve(points, 25)
    assert found["gains_until"] == 4, "a problem of a hundred may be chance"
    assert (found["plateau"]["budget"], found["plateau"]["tokens_per_query"]) == (4, 40)
    assert found["plateau"]["gain"]["value"] == pytest.approx(0.005)
    assert found["plateau"]["gain"]["low"] < 0 < found["plateau"]["gain"]["high"]
    assert found["plateau"]["accuracy"] == pytest.approx(0.80333, abs=1e-4)
    assert [point["beyond_natural"] for point in found["points"]] == [False, False, True, True, True]
    rising = plain_curve(points[:3], 25)
    assert (rising["gains_until"], rising["plateau"]) == (4, None)
    assert plain_curve(points[3:], 25)["gains_until"] == 8, "where nothing is gained, the first"


def test_no_scaling_up_to_the_natural_length() -> None:
    natural = Point(1, 32, 0, (1.0, 0.0))
    rising = [Point(1, 8, 0, (0.0, 0.0)), Point(2, 32, 0, (1.0, 0.0))]
    assert scaling(natural, rising, 32) is None, "cutting it had lost that"
    found = scaling(natural, [*rising, Point(4, 64, 0, (1.0, 1.0))], 32)
    assert found is not None
    assert found["gain"]["value"] == 0.5


def test_length_goes_with_difficulty() -> None:
    hard = [problem for problem in TASK._problems() if len(TASK._solutions(problem)) == 1][:4]
    easy = [problem for problem in TASK._problems() if len(TASK._solutions(problem)) == 2][:4]

    def write(text: str, _: int) -> str:
        return " b" * (2 if any(problem.prompt == text for problem in easy) else 6)

    with closing(LocalPool(Worker(ScriptedEngine(write), Scorer([], Checker()), TASK.read))) as pool:
        groups = [pool.sample([problem], 2, PARAMS, 0) for problem in hard + easy]
    found = difficulty(groups, TASK)
    assert found is not None
    assert [(row["from"], row["tokens"]["value"], row["tokens"]["n"]) for row in found["bins"]] == [
        (pytest.approx(5 / 3), 5, 4),
        (5 / 2, 13, 4),
    ]
    assert [row["tokens_wrong"]["value"] for row in found["bins"]] == [5, 13]
    assert [row["tokens_right"] for row in found["bins"]] == [None, None], "nobody answers"
    assert found["slope"]["value"] == pytest.approx(8 / (5 / 2 - 5 / 3))
    assert found["spearman"]["value"] == 1
    grown = easiest_growth([groups[-1], *groups[:7]], [groups[0], *groups[:7]], TASK)  # an easy one grows, from 5 to 13
    assert grown is not None
    assert (grown["from"], grown["to"], grown["times"]["n"]) == (5 / 3, 5 / 3, 4)
    assert grown["times"]["value"] == pytest.approx((13 + 3 * 5) / (4 * 5))
    assert easiest_growth(groups[:4], groups[:4], TASK) is None, "all problems are as difficult"
    same = easiest_growth(groups, groups, TASK)
    assert same is not None
    assert (same["times"]["low"], same["times"]["high"]) == (None, None), "problems that are alike tell of no other"
    alike = difficulty(groups[:4], TASK)
    assert alike is not None
    assert alike["slope"] is None


def test_tables_name_what_is_beyond_the_natural_length(capsys: pytest.CaptureFixture[str]) -> None:
    found = study(patience=2)
    extra = {
        "checkpoint": "step_1",
        "split": "test",
        "ablations": None,
        "file": "chains.json",
        "compute": {"training_flops": None},
    }
    second = describe(found, TASK) | extra
    print_chains([second, second | {"gain": {"before": "warmup"} | compare(found, replace(found), TASK)}])
    text = capsys.readouterr().out
    assert "natural length" in text
    assert "scaling by tries cut: none" in text
    assert "scaling by tries cut and called for: +1.000" in text
    assert "persistence: by going on" in text
    assert "tries cut and called for: the last sure gain is at budget 4; no plateau" in text
    assert "tries cut: no gain is for sure; plateau of 0.000 from budget 1" in text
    assert "tries not made before, a token" in text
    assert f"n = {len(PROBLEMS)}" in text
