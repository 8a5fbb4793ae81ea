"""Problems of reasoning-gym: their solutions are imitated, their own scores are kept where answers differ."""

import sys
import warnings

import pytest

from reft.errors import ConfigError, DataError
from reft.tasks.gym import ANY, Gym
from rollout.types import Problem


def test_without_the_extra_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ConfigError, match=r"no module reasoning_gym; pip install 'reft-rl\[gym\]'"):
        Gym(name="not_yet_made").splits()


@pytest.fixture(scope="module")
def library() -> None:
    """Imported once, with the warnings of the libraries that it brings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("reasoning_gym", reason="needs the gym extra: pip install 'reft-rl[gym]'")


def first(task: Gym) -> Problem:
    task.validate()
    splits = task.splits()
    return min((problem for part in vars(splits).values() for problem in part), key=lambda problem: problem.id)


@pytest.mark.usefixtures("library")
def test_worked_solutions_are_imitated() -> None:
    task = Gym(name="gsm_symbolic", size=300, judge="checker", numeric=True)
    splits = task.splits()
    sizes = [len(part) for part in vars(splits).values()]
    assert 290 <= sum(sizes) <= 300
    assert min(sizes) > 10
    for demo in task.demonstrations(splits.train, 0):
        assert task.read(demo.problem, demo.chain) == demo.problem.answer
        assert "####" not in demo.chain
        assert len(demo.chain) > 50


@pytest.mark.usefixtures("library")
def test_the_same_at_every_call_and_another_by_another_seed() -> None:
    task = Gym(name="chain_sum", size=50, chain=None)
    assert first(task) == first(task)
    assert first(task).prompt != first(Gym(name="chain_sum", size=50, chain=None, settings={"seed": 1})).prompt


@pytest.mark.usefixtures("library")
def test_any_right_answer_is_the_known_one() -> None:
    task = Gym(name="countdown", size=20, chain=None)
    problem = first(task)
    other = f"0 + ({problem.answer})".replace("0 + ", "", 1)
    say = "So it is.\nTherefore, the answer is: {}".format
    assert other != problem.answer
    assert task.read(problem, say(problem.answer)) == problem.answer
    assert task.read(problem, say(other)) == problem.answer
    assert task.read(problem, say("1 + 1")) == "1 + 1"
    assert task.read(problem, say("open('/etc/passwd').read()")) == "open('/etc/passwd').read()"
    assert task.read(problem, "I give up.") is None
    assert Gym(name="countdown", size=20, chain=None, judge="checker").read(problem, say(other)) == other


@pytest.mark.usefixtures("library")
def test_without_a_known_answer_the_score_decides() -> None:
    task = Gym(name="graph_color", size=5, chain=None)
    assert first(task).answer == ANY
    with pytest.raises(DataError, match=r"set task.judge=score"):
        Gym(name="graph_color", size=5, chain=None, judge="checker").splits()


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (Gym(), "task.name is missing"), (Gym(name="chain_sum", size=0), "task.size=0"),
        (Gym(name="chain_sum", settings={"size": 5}), "set task.size"),
    ],
)  # fmt: skip
def test_wrong_settings(task: Gym, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        task.validate()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("task", "told"),
    [
        (Gym(name="no_such_data"), "not registered"),
        (Gym(name="chain_sum", settings={"length": 3}), "length"),
        (Gym(name="chain_sum", settings={"min_terms": -1}), "min_terms"),
    ],
)
def test_what_the_library_refuses_is_told(task: Gym, told: str) -> None:
    with pytest.raises(DataError, match=rf"task.name={task.name}.*{told}"):
        task.splits()
