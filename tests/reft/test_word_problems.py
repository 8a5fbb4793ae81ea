"""Word problems: sentences, both kinds of chains and the answer say the same, read back from the text alone."""

import re
from collections import Counter

import pytest

from reft.errors import ConfigError
from reft.tasks import Splits, SteppedTask, Trace
from reft.tasks.word_problems import WordProblems
from rewards.program import Program, Programs
from rollout.types import Problem

WORDS = WordProblems(operations=(1, 8), warmup_operations=(1, 8), train_size=1500, dev_size=50, test_size=100)
PROGRAMS = WordProblems(style="p-cot", operations=(1, 8), warmup_operations=(1, 8), train_size=1500, dev_size=50, test_size=100)


@pytest.fixture(scope="module")
def worded() -> Splits:
    return WORDS.splits()


@pytest.fixture(scope="module")
def programmed() -> Splits:
    return PROGRAMS.splits()


def solve(prompt: str) -> tuple[int, int, set[str]]:
    """The answer, the number of operations it takes, and the sentences that matter, from the prompt alone."""
    *sentences, question = re.split(r" \. ", prompt.partition(" ?")[0])
    said = dict(sentence.split(" has ") for sentence in sentences)
    assert len(said) == len(sentences), "somebody is spoken of twice"
    operated, used = set(), set()

    def value(name: str) -> int:
        used.add(f"{name} has {said[name]}")
        match said[name].split():
            case [number, _]:
                return int(number)
            case [number, "more", _, "than", other]:
                result = value(other) + int(number)
            case [number, "fewer", _, "than", other]:
                result = value(other) - int(number)
            case ["half", "the", _, "of", other]:
                assert value(other) % 2 == 0
                result = value(other) // 2
            case ["double" | "triple" | "quadruple" as word, "the", _, "of", other]:
                result = {"double": 2, "triple": 3, "quadruple": 4}[word] * value(other)
            case ["all", "the", _, "of", one, "and", other]:
                assert one != other
                result = value(one) + value(other)
            case words:
                raise AssertionError(words)
        operated.add(name)
        assert 2 <= result <= 99
        return result

    match question.split():
        case ["How", "many", _, "does", name, "have"]:
            return value(name), len(operated), used
    raise AssertionError(question)


def every(splits: Splits) -> list[Problem]:
    return [*splits.train, *splits.dev, *splits.test]


def test_the_sentences_give_the_answer(worded: Splits) -> None:
    for problem in every(worded):
        assert solve(problem.prompt)[:2] == (int(problem.answer), problem.columns["operations"])
        (things,) = set(re.findall(r"(?:many|more|fewer|\d) ([a-z]+s)\b(?<!times)", problem.prompt))
        assert things in problem.prompt.rpartition(".")[2]


def test_every_step_of_a_chain_is_right(worded: Splits) -> None:
    """What is read on the way down is in a sentence, what is computed on the way up comes from numbers known by then."""
    for problem in every(worded):
        chain = problem.columns["chain"]
        found: dict[str, int] = {}
        needs: dict[str, list[str]] = {}
        wanted = [problem.columns["asked"]]
        recalled: list[str] = []
        last = ""
        for step in chain.removesuffix(f" #### {problem.answer}").removesuffix(" .").split(" . "):
            name, said = step.split(" has ")
            assert name in wanted, "of somebody nobody has asked for"
            match said.split():
                case [number] if name in found:
                    assert found[name] == int(number)
                    recalled.append(name)
                case [number]:
                    assert f"{name} has {number} {problem.prompt.split()[-5]} ." in problem.prompt
                    found[name] = int(number)
                case [left, sign, right, "=", result]:
                    operands = [str(found.get(part, part)) for part in (needs[name][0], needs[name][2])]
                    assert [left, sign, right] == [operands[0], needs[name][1], operands[1]]
                    if needs[name][2] in found:
                        assert last == needs[name][2], "the second number is that of the sentence before"
                    assert eval(f"{left} {sign} {right}") == int(result)
                    found[name] = int(result)
                case [left, sign, right]:
                    needs[name] = [left, sign, right]
                    wanted += [left, right]
                case _:
                    raise AssertionError(step)
            last = name
        uses = Counter(part for parts in needs.values() for part in parts if part in found)
        assert Counter(recalled) == uses - Counter(set(uses)), "once for each further use"
        assert len(needs) == problem.columns["operations"]
        assert found[problem.columns["asked"]] == int(problem.answer)
        assert WORDS.read(problem, chain) == problem.answer
        assert WORDS.trace(problem, chain) == Trace(True, len(needs) + len(found) + len(recalled), 0)


def test_both_chains_and_the_graph_agree(worded: Splits, programmed: Splits) -> None:
    """The same problems, drawn alike; a program is run where the other chain is read."""
    pairs = list(zip(every(worded), every(programmed), strict=True))[::5]
    for in_words, as_program in pairs:
        assert as_program.prompt == f"{in_words.prompt} def solution ( ) :"
        assert as_program.answer == in_words.answer
        assert PROGRAMS.trace(as_program, as_program.columns["chain"]).valid
    runner = Programs(processes=2)
    found = [PROGRAMS.read(problem, problem.columns["chain"]) for _, problem in pairs]
    results = runner.run([item for item in found if isinstance(item, Program)])
    runner.close()
    assert [result.answer for result in results] == [problem.answer for problem, _ in pairs]


def sentences(prompt: str) -> set[str]:
    return set(prompt.split(" . ")[:-1])


def test_who_does_not_matter_does_not_matter(worded: Splits) -> None:
    for problem in WordProblems(distractors=0, train_size=300, dev_size=1, test_size=1).splits().train:
        assert solve(problem.prompt)[2] == sentences(problem.prompt)
    others = [sentences(problem.prompt) - solve(problem.prompt)[2] for problem in worded.train]
    counts = [len(said) for said in others]
    assert set(counts) == {0, 1, 2}
    assert min(counts.count(number) for number in (0, 1, 2)) > 0.25 * len(counts)
    related = sum("than" in sentence for said in others for sentence in said) / sum(counts)
    assert 0.2 < related < 0.5, "some are told of by others, as those who matter"
    for problem in worded.train:
        needed = sorted(solve(problem.prompt)[2])
        assert problem.id.split(" . ")[:-1] == needed, "the same problem has the same name"
        assert solve(problem.id)[0] == int(problem.answer)


def test_no_problem_is_in_two_splits_however_it_is_shuffled(worded: Splits) -> None:
    seen: dict[frozenset[str], str] = {}
    for name, problems in vars(worded).items():
        for problem in problems:
            sentences = frozenset(problem.id.split(" . "))
            assert sentences not in seen, f"in {name} and {seen[sentences]}"
            seen[sentences] = name


def test_operations_are_as_asked() -> None:
    task = WordProblems(operations=(2, 6), test_operations=(7, 8), any_share=0.1, train_size=2000, dev_size=200, test_size=100)
    splits = task.splits()
    counts = {name: {problem.columns["operations"] for problem in problems} for name, problems in vars(splits).items()}
    assert counts == {"train": {2, 3, 4, 5, 6}, "dev": {2, 3, 4, 5, 6}, "test": {7, 8}}
    demonstrated = [demo.problem.columns["operations"] for demo in task.demonstrations(splits.train, 0)]
    assert sum(operations > 3 for operations in demonstrated) / len(demonstrated) == pytest.approx(0.06, abs=0.01)


def test_nothing_is_demonstrated_again_before_everything_was() -> None:
    task = WordProblems(any_share=0, train_size=200, dev_size=1, test_size=1, demonstrations_size=170)
    problems = task.splits().train
    few = sum(problem.columns["operations"] <= 3 for problem in problems)
    shown = Counter(demo.problem.id for demo in task.demonstrations(problems, 0))
    assert 170 // few >= 1
    assert (len(shown), set(shown.values())) == (few, {170 // few, 170 // few + 1})


SAID = {"Mia": ("5",), "Sam": ("Mia", "+", "2"), "Ann": ("Sam", "-", "3"), "Eve": ("Sam", "*", "2")}
PROBLEM = Problem("", "", "4", {"asked": "Ann", "said": SAID, "values": {"Mia": 5, "Sam": 7, "Ann": 4, "Eve": 14}})


@pytest.mark.parametrize(
    ("text", "answer", "trace"),
    [
        (
            "Ann has Sam - 3 . Sam has Mia + 2 . Mia has 5 . Sam has 5 + 2 = 7 . Ann has 7 - 3 = 4 . #### 4",
            "4",
            Trace(True, 5, 0),
        ),
        ("Sam has 5 + 2 = 7 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 0)),
        ("Sam has 2 + 5 = 7 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 0)),
        ("Eve has 2 * 7 = 14 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 0)),
        ("Ann has Sam - 2 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 1)),
        ("Ann has 3 - Sam . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 1)),
        ("Ann has Tom - 3 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 1)),
        ("Mia has 6 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 1)),
        ("Sam has 5 + 2 = 8 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 1)),
        ("Sam has 4 + 3 = 7 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 1)),
        ("Tom has 5 + 2 = 7 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 2, 1)),
        ("Ann has 4 . #### 4", "4", Trace(True, 1, 1)),
        ("Sam has 5 + 2 = 7 . Sam has 7 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 3, 0)),
        ("Sam has 5 + 2 = 7 . Sam has 5 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 3, 1)),
        ("Sam has 5 + 2 = 8 . Sam has 7 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 3, 2)),
        ("Sam has 7 . Sam has 5 + 2 = 7 . Ann has 7 - 3 = 4 . #### 4", "4", Trace(True, 3, 1)),
        ("Ann has 3 + 1 = 4 . #### 4", "4", Trace(True, 1, 1)),
        ("Ann has 4 / 0 = 4 . #### 4", "4", Trace(True, 1, 1)),
        ("Ann has 7 - 3 = 4 . Sam has 5 + 2 = 7 . #### 4", "4", Trace(False, 2, 0)),
        ("Sam has 5 + 2 = 7 . Ann has 7 - 3 = 4 . #### 7", "7", Trace(False, 2, 0)),
        ("Sam has 5 + . #### 4", "4", Trace(False, 0, 0)),
        ("Sam has 7 = 7 . #### 4", "4", Trace(False, 0, 0)),
        ("Sam 7 . #### 4", "4", Trace(False, 0, 0)),
        ("#### 4", "4", Trace(False, 0, 0)),
        ("Ann has 7 - 3 = 4 . ####", None, Trace(False, 1, 0)),
        ("Ann has 7 - 3 = 4 .", None, Trace(False, 0, 0)),
        ("#### Ann", None, Trace(False, 0, 0)),
    ],
)
def test_chains_in_words_are_read(text: str, answer: str | None, trace: Trace) -> None:
    assert WORDS.read(PROBLEM, text) == answer
    assert WORDS.trace(PROBLEM, text) == trace


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        ("ann = lambda : sam ( ) - 3 ; sam = lambda : mia ( ) + 2 ; mia = lambda : 5 ; return ann ( )", Trace(True, 3, 0)),
        ("mia = lambda : 5 ; sam = lambda : 2 + mia ( ) ; ann = lambda : sam ( ) - 3 ; return ann ( )", Trace(True, 3, 0)),
        ("ann = lambda : sam ( ) - 3 ; sam = lambda : mia ( ) + 2 ; mia = lambda : 6 ; return ann ( )", Trace(True, 3, 1)),
        ("ann = lambda : sam ( ) - 3 ; sam = lambda : mia ( ) + 2 ; return ann ( )", Trace(False, 2, 0)),
        ("ann = lambda : sam ( ) - 3 ; sam = lambda : mia + 2 ; mia = lambda : 5 ; return ann ( )", Trace(False, 2, 0)),
        ("ann = lambda : 4 ; return ann ( )", Trace(True, 1, 1)),
        ("ann = lambda : ann ( ) / 0 ; return ann ( )", Trace(True, 1, 1)),
        ("mia = lambda : 5 ; return mia ( )", Trace(False, 1, 0)),
        ("mia = lambda : 5 ; return ann", Trace(False, 1, 0)),
        ("mia = 5 ; return ann ( )", Trace(False, 0, 0)),
        ("ann = lambda : sam ( ) - ; return ann ( )", Trace(False, 0, 0)),
        ("mia = lambda : 5", Trace(False, 0, 0)),
    ],
)
def test_programs_are_traced(text: str, trace: Trace) -> None:
    assert PROGRAMS.trace(PROBLEM, text) == trace
    assert PROGRAMS.read(PROBLEM, text) == Program(f"def solution ( ) : {text}", numeric=True)


def test_more_than_there_are() -> None:
    with pytest.raises(ConfigError, match="no such problem"):
        WordProblems(warmup_operations=(2, 2)).demonstrations([Problem("", "", "4", {"operations": 3})], 0)


def test_chains_are_put_together_from_their_steps(worded: Splits, programmed: Splits) -> None:
    assert isinstance(WORDS, SteppedTask)
    for problem in worded.test:
        chain = problem.columns["chain"]
        steps = WORDS.steps(problem, chain)
        assert steps is not None
        assert len(steps) == WORDS.trace(problem, chain).steps
        assert " ".join([*steps, WORDS.answering, problem.answer]) == chain
        assert WORDS.difficulty(problem) == problem.columns["operations"]
    for problem in programmed.test:
        steps = PROGRAMS.steps(problem, chain := problem.columns["chain"])
        assert steps is not None
        assert " ".join([*steps, PROGRAMS.answering, f"{problem.columns['asked'].lower()} ( )"]) == chain
        assert PROGRAMS.corrupt(problem, chain) is None
    assert WORDS.steps(PROBLEM, "Ann has 4 . #### 5") is None


@pytest.mark.parametrize(
    ("said", "steps", "false", "answer"),
    [
        (
            "Ann Sam - 3, Sam Mia + 2 7, Mia 5",
            "Ann has Sam - 3 . Sam has Mia + 2 . Mia has 5 .",
            "Sam has 5 + 2 = 8",
            "5",
        ),
        (  # five times three has no half, so it is six
            "Ann Sam / 2, Sam Mia * 3 12, Mia Joe + 1 4, Joe 3",
            "Ann has Sam / 2 . Sam has Mia * 3 . Mia has Joe + 1 . Joe has 3 .",
            "Mia has 3 + 1 = 6",
            "9",
        ),
        (  # Eve does not matter
            "Ann Sam - 3, Sam Mia + 2 7, Mia 5, Eve Mia + 1 6",
            "Mia has 5 . Eve has Mia + 1 . Eve has 5 + 1 = 6 . Ann has Sam - 3 . Sam has Mia + 2 .",
            "Sam has 5 + 2 = 8",
            "5",
        ),
    ],
)
def test_a_result_that_is_made_false_leads_elsewhere(said: str, steps: str, false: str, answer: str) -> None:
    people = [person.split() for person in said.split(", ")]
    true = {"5": 4, "9": 6}[answer]
    values = {name: int(words[-1]) for name, *words in people} | {"Ann": true}
    problem = Problem(
        "", "", str(true), {"asked": "Ann", "said": {name: words[:3] for name, *words in people}, "values": values}
    )
    name, _, *counted = false.split()
    right = f"{steps} {name} has {' '.join(counted[:-1])} {values[name]}"
    end = {
        name: f"Ann has {values[name]} - 3 = {true} . #### {true}",
        "Mia": "Sam has 4 * 3 = 12 . Ann has 12 / 2 = 6 . #### 6",
    }[name]
    assert WORDS.trace(problem, f"{right} . {end}").valid
    corruption = WORDS.corrupt(problem, f"{right} . {end}")
    assert corruption is not None
    assert corruption.prefix == f"{steps} {false}"
    assert corruption.follows(f"{steps} {false} . #### {answer}")
    assert not corruption.follows(f"{right} . {end}")


def test_what_cannot_be_made_false_is_left(worded: Splits) -> None:
    single = Problem(
        "", "", "7", {"asked": "Sam", "said": {"Mia": ("5",), "Sam": ("Mia", "+", "2")}, "values": {"Mia": 5, "Sam": 7}}
    )
    assert WORDS.corrupt(single, "Sam has Mia + 2 . Mia has 5 . Sam has 5 + 2 = 7 . #### 7") is None, "nothing follows from it"
    assert WORDS.corrupt(worded.test[0], "#### 7") is None
    found = [WORDS.corrupt(problem, problem.columns["chain"]) for problem in worded.test if problem.columns["operations"] > 2]
    assert sum(corruption is not None for corruption in found) > 0.9 * len(found)
    assert not any(corruption.follows(problem.columns["chain"]) for problem in worded.test
                   if (corruption := WORDS.corrupt(problem, problem.columns["chain"])) is not None)  # fmt: skip
