from reft.evaluate import evaluate, report
from reft.tasks.signed_sum import SignedSum
from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import load_term
from rollout.engines.scripted import ScriptedEngine
from rollout.pool import LocalPool
from rollout.types import SamplingParams
from rollout.worker import Worker

TASK = SignedSum()
PROBLEMS = [problem for problem in TASK._problems() if problem.prompt == "a 5 b 3 c 4 > 4 ?"] * 1
CHAINS = ["b + 3 8 c - 4 4 ok", "b + 3 9 c - 4 4 ok", "b - 3 2 c + 4 6 x", "b - 3 2 c + 4 6 x b - 3 2 c + 4 6 ok"]


def pool() -> LocalPool:
    scorer = Scorer([load_term("correct", "correct", 1.0, {})], Checker())
    return LocalPool(Worker(ScriptedEngine(lambda prompt, sample: CHAINS[sample]), scorer, TASK.read))


def test_rates_by_hand() -> None:
    samples = pool().sample(PROBLEMS, 4, SamplingParams(1.0, 1000), 0)
    found = report(samples, TASK)
    assert found.accuracy.value == 0.5
    assert found.accuracy.n == 1, "samples of one problem are one observation"
    assert found.tries_per_chain == 5 / 4
    assert found.repeated_tries == 1 / 4
    assert found.verdict_error == 1 / 5
    assert found.trace_error == 1 / 2
    assert found.valid == 2 / 4
    assert (found.truncated, found.no_answer, found.undecided) == (0, 0, 0)


def test_greedy_is_greedy() -> None:
    asked: list[float] = []

    class Asked(LocalPool):
        def sample(self, problems, n, params, seed, progress=None):  # type: ignore[no-untyped-def]
            asked.append(params.temperature)
            return super().sample(problems, n, params, seed, progress)

    evaluate(Asked(pool().worker), TASK, PROBLEMS, SamplingParams(0.7, 10), 2, 0)
    assert asked == [0.0, 0.7]


def test_greedy_and_sampled_stand_side_by_side() -> None:
    reports = evaluate(pool(), TASK, PROBLEMS, SamplingParams(1.0, 10), 3, 0)
    assert {mode: len(samples) for mode, (_, samples) in reports.items()} == {"greedy": 1, "sampled": 3}
    assert reports["sampled"][0].truncated == 1.0
    assert reports["sampled"][0].no_answer == 1.0
