"""The embedded tasks: exact, disjoint, and strict about what counts as an answer."""

import pytest

from reft.errors import ConfigError
from reft.tasks import Trace, split_of
from reft.tasks.running_total import RunningTotal
from reft.tasks.signed_sum import SignedSum
from reft.tasks.word_problems import WordProblems
from rewards.equal import Checker

TASKS = [
    SignedSum(), SignedSum(operands=5, problems_size=3000), SignedSum(order="counting", hint_share=0.3, budget_share=0.3),
    SignedSum(operands=4, fewest_operands=2, hint_share=0.2, budget_share=0.2),
    RunningTotal(train_size=2000), RunningTotal(operators="+"),
    WordProblems(train_size=2000), WordProblems(style="p-cot", operations=(1, 8), distractors=4, train_size=2000),
]  # fmt: skip


@pytest.fixture(scope="module")
def checker():
    made = Checker()
    yield made
    made.close()


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_splits_share_no_problem(task) -> None:
    splits = task.splits()
    prompts = {name: {problem.prompt for problem in problems} for name, problems in vars(splits).items()}
    for name, problems in vars(splits).items():
        assert len(prompts[name]) == len(problems) > 0, "a problem stands twice in one split"
        assert {split_of(problem.id) for problem in problems} == {name}
    assert not prompts["train"] & prompts["dev"]
    assert not prompts["train"] & prompts["test"]
    assert not prompts["dev"] & prompts["test"]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_the_same_at_every_call(task) -> None:
    first, again = task.splits(), task.splits()
    assert [problem.id for problem in first.train] == [problem.id for problem in again.train]
    chains = [demo.chain for demo in task.demonstrations(first.train, 3)]
    assert chains == [demo.chain for demo in task.demonstrations(first.train, 3)]
    assert chains != [demo.chain for demo in task.demonstrations(first.train, 4)]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_demonstrations_are_valid_and_in_the_vocabulary(task) -> None:
    problems = task.splits().train
    words = set(task.words())
    train = {problem.id for problem in problems}
    for demo in task.demonstrations(problems, 0)[:500]:
        assert demo.problem.id in train
        assert task.trace(demo.problem, demo.chain).valid
        assert set(demo.chain.split()) | set(demo.problem.prompt.split()) <= words


def test_signed_sum_is_solvable_and_complete() -> None:
    splits = SignedSum().splits()
    everything = [*splits.train, *splits.dev, *splits.test]
    assert len(everything) == 2835  # 729 triples with 4 targets, 3 where the last two digits are equal
    for problem in everything[:100]:
        a, b, c = problem.columns["digits"]
        assert int(problem.answer) in {a + b + c, a + b - c, a - b + c, a - b - c}


PROBLEM = next(problem for problem in SignedSum()._problems() if problem.prompt == "a 5 b 3 c 4 > 4 ?")


@pytest.mark.parametrize(
    ("text", "answer", "outcome"),
    [
        ("b + 3 8 c - 4 4 ok", "5 + 3 - 4", "equal"),
        ("b - 3 2 c + 4 6 x b + 3 8 c - 4 4 ok", "5 + 3 - 4", "equal"),
        ("b - 3 2 c + 4 6 x", "5 - 3 + 4", "different"),
        ("b + 3 9 c - 4 4 ok", "5 + 3 - 4", "equal"),  # a wrong sum on the way: right answer, wrong step
        ("b + 3 8 c - 4 4", None, "no_answer"),  # no verdict: the try is not whole
        ("b + 3 8 c - 4 4 ok b", None, "no_answer"),
        ("b + 2 7 c - 4 3 ok", None, "no_answer"),  # not this problem's digit
        ("c - 4 1 b + 3 4 ok", None, "no_answer"),
        ("ok", None, "no_answer"),
        ("", None, "no_answer"),
    ],
)
def test_signed_sum_answers(checker: Checker, text: str, answer: str | None, outcome: str) -> None:
    assert SignedSum().read(PROBLEM, text) == answer
    assert checker.check(answer, PROBLEM.answer).outcome == outcome


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        ("b + 3 8 c - 4 4 ok", Trace(True, 2, 0, 1, 0, 1, 0)),
        ("b + 3 9 c - 4 4 ok", Trace(True, 2, 1, 1, 0, 1, 0)),
        ("b + 3 8 c - 4 4 x b + 3 8 c - 4 4 ok", Trace(True, 4, 0, 2, 1, 2, 1)),
        ("b - 3 2 c + 4 6 ok", Trace(True, 2, 0, 1, 0, 1, 1)),
        ("b - 3 2 c + 4 6 x b", Trace(False, 2, 0, 1, 0, 1, 0)),
        ("", Trace(False, 0, 0, 0, 0, 0, 0)),
    ],
)
def test_signed_sum_traces(text: str, trace: Trace) -> None:
    assert SignedSum().trace(PROBLEM, text) == trace


def test_impatience_makes_chains_short() -> None:
    def tries(task: SignedSum) -> float:
        demos = task.demonstrations(task.splits().train, 0)
        return sum(task.trace(demo.problem, demo.chain).tries for demo in demos) / len(demos)

    assert tries(SignedSum(give_up=1.0, patient_share=0.0)) == 1
    assert tries(SignedSum(give_up=0.0)) > tries(SignedSum(give_up=0.45)) > 1.3
    assert (
        max(SignedSum().trace(demo.problem, demo.chain).tries for demo in SignedSum(tries=2).demonstrations([PROBLEM], 0)) <= 2
    )


def test_tries_count_from_anywhere() -> None:
    """Of four digits: whatever the first try, the next adds one to its signs read as a number, and wraps round."""
    task = SignedSum(operands=4, tries=8, give_up=0.0, order="counting")
    firsts, longest = set(), 0
    for demo in task.demonstrations(task.splits().train, 0)[:500]:
        words = demo.chain.split()
        signs = "".join(word for word in words if word in ("+", "-")).replace("+", "0").replace("-", "1")
        numbers = [int(signs[at : at + 3], 2) for at in range(0, len(signs), 3)]
        assert numbers == [(numbers[0] + step) % 8 for step in range(len(numbers))]
        assert words.count("ok") == 1, "all eight tries find what there is to find"
        firsts.add(numbers[0])
        longest = max(longest, len(numbers))
    assert (firsts, longest) == (set(range(8)), 8)


def test_problems_of_several_numbers_of_digits_are_mixed() -> None:
    """As many of each, until the fewer are used up; each as hard as it is among its like."""
    task, alone = SignedSum(operands=4, fewest_operands=3, problems_size=8000), SignedSum(problems_size=8000)
    problems = task._problems()
    digits = [len(problem.columns["digits"]) for problem in problems]
    assert len(problems) == 8000
    assert digits.count(3) == len(alone._problems()) == 2835
    assert 0.47 < digits[:4000].count(3) / 4000 < 0.53
    assert set(digits[-1000:]) == {4}
    threes = [problem for problem in problems if len(problem.columns["digits"]) == 3]
    assert threes == alone._problems()
    assert [task.difficulty(problem) for problem in threes] == [alone.difficulty(problem) for problem in threes]
    assert {len(problem.columns["digits"]) for problem in task.splits().test} == {3, 4}
    tries = {3: 0, 4: 0}
    for demo in SignedSum(operands=4, fewest_operands=3, tries=8, give_up=0.0).demonstrations(problems[:4000], 0)[:800]:
        found = task.trace(demo.problem, demo.chain)
        assert demo.chain.endswith("ok")
        tries[len(demo.problem.columns["digits"])] = max(tries[len(demo.problem.columns["digits"])], found.tries)
    assert tries == {3: 4, 4: 8}, "all pairs of signs, or all triples"


def test_as_many_tries_as_are_asked_for_unless_one_succeeds() -> None:
    task = SignedSum(operands=4, tries=8, give_up=1.0, patient_share=0.0, budget_share=0.5, demonstrations_size=800)
    assert task.budgets() == [1, 2, 4, 8]
    assert task.asked(PROBLEM, 2).prompt == f"{PROBLEM.prompt[:-1]}<b2> ?"
    seen: dict[int, int] = {}
    for demo in task.demonstrations(task.splits().train, 0):
        tries, last = task.trace(demo.problem, demo.chain).tries, demo.chain.split()[-1]
        word = demo.problem.prompt.split()[-2]
        budget = int(word[2:-1]) if word.startswith("<b") else 1  # nobody asks, and all give up
        assert tries == budget if last == "x" else tries <= budget
        seen[budget] = max(seen.get(budget, 0), tries)
    assert seen == {1: 1, 2: 2, 4: 4, 8: 8}
    assert SignedSum(tries=6, budget_share=0.5).budgets() == [1, 2, 4], "three digits have four pairs of signs"
    assert SignedSum(operands=4, tries=6, budget_share=0.5).budgets() == [1, 2, 4]


def test_other_runs_keep_vocabulary_and_demonstrations() -> None:
    task = SignedSum()
    assert list(task.budgets()) == []
    assert not any("<" in word for word in task.words())
    with pytest.raises(ConfigError, match=r"a budget of 2; choose of none, since task\.budget_share=0"):
        task.asked(PROBLEM, 2)
    with pytest.raises(ConfigError, match=r"a budget of 3; choose of 1, 2, 4"):
        SignedSum(budget_share=0.1).asked(PROBLEM, 3)


def test_running_total_by_hand() -> None:
    task = RunningTotal(operands=3, train_size=500, dev_size=50, test_size=100)
    problem = task.splits().train[0]
    operations = problem.columns["operations"]
    total, steps = 0, []
    for (operator, digit), letter in zip(operations, "abc", strict=True):
        total = {"+": total + digit, "-": total - digit, "*": total * digit}[operator] % 10
        steps.append(f"{letter} {digit} {total}")
    chain = " ".join(steps) + f" # {total}"
    assert problem.answer == str(total)
    assert task.read(problem, chain) == str(total)
    assert task.trace(problem, chain) == Trace(True, 3, 0)
    assert task.trace(problem, f"# {total}") == Trace(True, 0, 0)
    assert task.trace(problem, chain.replace("a", "b", 1)).wrong_steps == 1
    assert not task.trace(problem, " ".join(steps) + f" # {(total + 1) % 10}").well_formed
    assert task.read(problem, "# 1 # 2") is None
    assert task.read(problem, "# 12") is None
    assert task.read(problem, " ".join(steps)) is None


def test_a_zero_never_follows_a_product() -> None:
    for problem in RunningTotal(train_size=500).splits().train:
        assert ("*", 0) not in problem.columns["operations"]


def test_modes_are_mixed_as_asked() -> None:
    task = RunningTotal(long_share=0.35)
    problems = task.splits().train
    demos = task.demonstrations(problems, 0)
    long = sum(task.trace(demo.problem, demo.chain).steps > 0 for demo in demos) / len(demos)
    assert long == pytest.approx(0.35, abs=0.02)


@pytest.mark.parametrize(
    "task",
    [
        WordProblems(operations=(0, 3)), WordProblems(operations=(3, 2)), WordProblems(test_operations=(2, 9)),
        WordProblems(warmup_operations=(2, 7)), WordProblems(largest=19), WordProblems(any_share=1.1),
        SignedSum(operands=1), SignedSum(fewest_operands=1), SignedSum(fewest_operands=4),
        SignedSum(give_up=1.5), SignedSum(tries=0), SignedSum(budget_share=-0.1),
        SignedSum(hint_share=0.6, budget_share=0.6), RunningTotal(operators="/"),
        RunningTotal(operands=99), RunningTotal(long_share=-1), RunningTotal(test_size=0),
    ],
)  # fmt: skip
def test_settings_out_of_range(task) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        task.validate()


def test_more_problems_than_there_are() -> None:
    with pytest.raises(ConfigError, match="more than there are"):
        RunningTotal(operands=3, train_size=20_000).splits()
