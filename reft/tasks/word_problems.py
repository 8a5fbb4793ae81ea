"""T3, word problems: sentences about who has how many, drawn from a random graph; solved in words or by a program.

Prompt   `Sam has 2 more pens than Mia . Eve has double the pens of Sam . Mia has 5 pens . Ann has 3 fewer pens than Sam .
         How many pens does Ann have ?`
N-CoT    `Ann has Sam - 3 . Sam has Mia + 2 . Mia has 5 . Sam has 5 + 2 = 7 . Ann has 7 - 3 = 4 . #### 4`
P-CoT    `ann = lambda : sam ( ) - 3 ; sam = lambda : mia ( ) + 2 ; mia = lambda : 5 ; return ann ( )`
         behind a prompt that ends in `def solution ( ) :`

Every person is a node of the graph: a number that is told, or an operation on one or two other people. The sentences are
shuffled, and some lead nowhere (Eve's). Both chains come from the same graph, and walk it from what is asked down to what is
told; words then count on the way back, where a program leaves that to the interpreter. A chain that went up at once, from
`Sam has 5 + 2 = 7`, would hide the walk, and a model of a million weights hardly learns it then (see configs). Demonstrations
are of few operations, so that reinforcement has the longer problems to find; a few of any length show the late positions.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from reft.errors import ConfigError
from reft.tasks import Corruption, Demonstration, SplitName, Splits, Trace, split_of
from reft.tasks.word_steps import (
    CALL,
    OPERATIONS,
    SENTENCE,
    STATEMENT,
    corrupt_sentence,
    right_sentences,
    right_statements,
    split_steps,
)  # fmt: skip
from rewards.answer import hashes
from rewards.program import Program
from rollout.types import Problem

NAMES = (
    "Amy", "Ann", "Ben", "Dan", "Eve", "Gus", "Ida", "Ivy", "Jim", "Joe", "Kim", "Leo",
    "Lou", "Max", "Meg", "Mia", "Ned", "Pam", "Ray", "Sam", "Sue", "Tim", "Tom", "Zoe",
)  # fmt: skip
THINGS = ("apples", "books", "cards", "coins", "hats", "keys", "nuts", "pens", "plums", "shells", "stamps", "toys")
SAID = (
    "has", "more", "fewer", "than", "half", "double", "triple", "quadruple", "all", "the", "of", "and",
    "How", "many", "does", "have", ".", "?",
)  # fmt: skip
OPENING = "def solution ( ) :"

MOST_TOLD, MOST_ADDED = 20, 9
"""Of numbers in sentences: what somebody has, how many more or fewer."""
TIMES = {"half": ("/", 2), "double": ("*", 2), "triple": ("*", 3), "quadruple": ("*", 4)}
"""Words for so many times as many."""
MOST_OPERATIONS = 8
ALONE = 0.75
"""Share of operations on one other person; the rest add up two."""

Operation = tuple[str, str, str]
"""Left operand, sign, right operand; an operand is a person's name or a number."""


@dataclass(frozen=True)
class Person:
    """A node of the graph: what is said of somebody, how it is computed (None where the number is told), and the number."""

    name: str
    sentence: str
    operation: Operation | None
    value: int


@dataclass(frozen=True)
class WordProblems:
    """Settings of the task."""

    style: Literal["n-cot", "p-cot"] = "n-cot"
    """Chains in words, or programs whose result is the answer (ReFT's N-CoT and P-CoT, arXiv 2401.08967)."""
    operations: tuple[int, int] = (2, 6)
    """Fewest and most operations of a problem to learn from, and of the dev split; 1 to 8."""
    test_operations: tuple[int, int] | None = None
    """The same for the test split; null means `operations`."""
    warmup_operations: tuple[int, int] = (2, 3)
    """The same for the problems that are demonstrated; within `operations`."""
    any_share: float = 0.05
    """Share of demonstrations of as many operations as may be, so that late positions are seen too; 0 to 1."""
    distractors: int = 2
    """People at most who do not matter; 0 to 4."""
    largest: int = 99
    """Largest number, results included; 20 to 999."""
    train_size: int = 20_000
    dev_size: int = 400
    test_size: int = 1_000
    """Problems of each split."""
    demonstrations_size: int = 16_000
    """Chains to imitate."""

    def validate(self) -> None:
        for name in ("operations", "test_operations", "warmup_operations"):
            if (bounds := vars(self)[name]) is not None and not 1 <= bounds[0] <= bounds[1] <= MOST_OPERATIONS:
                raise ConfigError(f"task.{name}={list(bounds)} is out of range; choose two numbers from 1 to {MOST_OPERATIONS}")
        if not self.operations[0] <= self.warmup_operations[0] <= self.warmup_operations[1] <= self.operations[1]:
            raise ConfigError(
                f"task.warmup_operations={list(self.warmup_operations)} is out of range; choose from {list(self.operations)}"
            )
        for name, least, most in (("distractors", 0, 4), ("largest", MOST_TOLD, 999), ("any_share", 0, 1)):
            if not least <= vars(self)[name] <= most:
                raise ConfigError(f"task.{name}={vars(self)[name]} is out of range; choose {least} to {most}")
        for name in ("train_size", "dev_size", "test_size", "demonstrations_size"):
            if vars(self)[name] < 1:
                raise ConfigError(f"task.{name}={vars(self)[name]} is out of range; choose 1 or more")

    def splits(self) -> Splits:
        generator = random.Random("word_problems")
        wanted: dict[SplitName, int] = {"train": self.train_size, "dev": self.dev_size, "test": self.test_size}
        asked = self.test_operations or self.operations
        bounds: dict[SplitName, tuple[int, int]] = {"train": self.operations, "dev": self.operations, "test": asked}
        found: dict[SplitName, dict[str, Problem]] = {"train": {}, "dev": {}, "test": {}}
        misses = 0
        while short := [name for name in found if len(found[name]) < wanted[name]]:
            operations = generator.randint(min(self.operations[0], asked[0]), max(self.operations[1], asked[1]))
            problem = self._problem(operations, generator)
            split = split_of(problem.id)
            fits = split in short and problem.id not in found[split] and bounds[split][0] <= operations <= bounds[split][1]
            misses = 0 if fits else misses + 1
            if fits:
                found[split][problem.id] = problem
            elif misses > 20_000:
                raise ConfigError(f"task.{short[0]}_size={wanted[short[0]]} is more than there are problems; lower it")
        return Splits(*(list(split.values()) for split in found.values()))

    def demonstrations(self, problems: Sequence[Problem], seed: int) -> list[Demonstration]:
        generator = random.Random(f"word_problems/demonstrations/{seed}")
        fewest, most = self.warmup_operations
        few = [problem for problem in problems if fewest <= problem.columns["operations"] <= most]
        if not few:
            raise ConfigError(f"task.warmup_operations={[fewest, most]}: there is no such problem; raise task.train_size")
        briefly, anyhow = _deal(few, generator), _deal(problems, generator)
        chosen = (next(anyhow if generator.random() < self.any_share else briefly) for _ in range(self.demonstrations_size))
        return [Demonstration(problem, problem.columns["chain"]) for problem in chosen]

    def words(self) -> list[str]:
        numbers = [str(number) for number in range(self.largest + 1)]
        signs = [*OPERATIONS, "="]
        own = ["####"] if self.style == "n-cot" else [*OPENING.split(), ";", "lambda", "return", *map(str.lower, NAMES)]
        return [*SAID, *NAMES, *THINGS, *numbers, *signs, *own]

    def read(self, problem: Problem, text: str) -> str | Program | None:
        if self.style == "p-cot":
            return Program(f"{OPENING} {text}", numeric=True)
        answer = hashes(text)
        return answer if answer is not None and _number(answer) is not None else None

    def trace(self, problem: Problem, text: str) -> Trace:
        """Each step against the graph: whose number it is, what it is computed from, what comes out. A number alone is right
        if it is told, or has been computed."""
        said, values, asked = (problem.columns[name] for name in ("said", "values", "asked"))
        if self.style == "n-cot":
            form, stop, mark, end, right = SENTENCE, " .", "####", problem.answer, right_sentences(said, values)
        else:
            form, stop, mark, end, right = STATEMENT, " ;", "return", f"{asked.lower()} ( )", right_statements(said)
        body, _, closing = text.rpartition(mark)
        found = [form.fullmatch(step.strip()) for step in body.split(stop) if step.strip()]
        steps = [match for match in found if match is not None]
        names = [match[1] for match in steps]
        called = {name for name, _ in CALL.findall(text)}  # which words never do
        ends = called <= set(names) and (self.style == "p-cot" or names[-1:] == [asked])
        wrong, counted = 0, set()
        for name, step in ((match[1], match[2]) for match in steps):
            recalled = name in counted and step == str(values[name])
            if step not in right.get(name, ()) and not recalled:
                wrong += 1
            elif "=" in step:
                counted.add(name)
        return Trace(
            well_formed=closing.strip() == end and ends and len(steps) == len(found) > 0,
            steps=len(steps),
            wrong_steps=wrong,
        )

    @property
    def answering(self) -> str:
        return "####" if self.style == "n-cot" else "return"

    def form(self) -> None:
        """A chain makes one try."""

    def difficulty(self, problem: Problem) -> float:
        """Operations."""
        return problem.columns["operations"]

    def steps(self, problem: Problem, text: str) -> list[str] | None:
        """Sentences or statements, with the sign that ends them."""
        return split_steps(text, self.answering) if self.trace(problem, text).well_formed else None

    def corrupt(self, problem: Problem, text: str) -> Corruption | None:
        """The first result that may be more than it is and still lead to another number for who is asked for; none in programs,
        which have no results."""
        steps = self.steps(problem, text)
        return corrupt_sentence(problem, steps, self.largest, self.read) if steps else None

    def _problem(self, operations: int, generator: random.Random) -> Problem:
        asked = None
        while asked is None:
            draft = _Draft(self.largest, generator)
            asked = draft.grow(operations)
        needed = list(draft.people)
        for _ in range(generator.randint(0, self.distractors)):
            draft.distract()
        sentences = [person.sentence for person in draft.people]
        generator.shuffle(sentences)
        question = f"How many {draft.things} does {asked.name} have ?"
        prompt = " ".join([*sentences, question, *([OPENING] if self.style == "p-cot" else [])])
        chain = _program(asked, needed) if self.style == "p-cot" else _sentences(asked, needed)
        # Shuffled otherwise, or with other people who do not matter, it is the same problem.
        name = " ".join([*sorted(person.sentence for person in needed), question])
        columns = {
            "operations": operations,
            "asked": asked.name,
            "said": {person.name: _said(person) for person in draft.people},
            "values": {person.name: person.value for person in draft.people},
            "chain": chain,
        }
        return Problem(name, prompt, str(asked.value), columns)


def _deal(problems: Sequence[Problem], generator: random.Random) -> Iterator[Problem]:
    """The problems in random order, over and over. None comes again before all have come, since what is shown often is learnt
    by heart."""
    while True:
        yield from generator.sample(problems, len(problems))


class _Draft:
    """A problem in the making: people in an order in which each is computed from earlier ones."""

    def __init__(self, largest: int, generator: random.Random) -> None:
        self.largest, self.generator = largest, generator
        self.names = generator.sample(NAMES, len(NAMES))
        self.things = generator.choice(THINGS)
        self.people: list[Person] = []

    def grow(self, operations: int) -> Person | None:
        """Somebody whose number takes so many operations, all of them needed, with whoever that takes; None where a number
        becomes too large."""
        if operations == 0:
            return self._tell()
        elsewhere = self.generator.randrange(operations)  # operations of a second operand, where there is one
        alone = self.generator.random() < ALONE
        first = self.grow(operations - 1 if alone else operations - 1 - elsewhere)
        if first is None or alone:
            return first and self._change(first)
        second: Person | None
        if elsewhere == 0:
            second = self.generator.choice([*(person for person in self.people if person is not first), None]) or self._tell()
        else:
            second = self.grow(elsewhere)
        if second is None or first.value + second.value > self.largest:
            return None
        said = f"all the {self.things} of {first.name} and {second.name}"
        return self._add(said, (first.name, "+", second.name), first.value + second.value)

    def distract(self) -> None:
        """Add somebody who does not matter."""
        if self.generator.random() < 0.5:
            self._tell()
        else:
            self._change(self.generator.choice(self.people))

    def _tell(self) -> Person:
        value = self.generator.randint(2, MOST_TOLD)
        return self._add(f"{value} {self.things}", None, value)

    def _change(self, other: Person) -> Person:
        """Somebody who has more or fewer than another, or some times as many."""
        added = self.generator.randint(2, MOST_ADDED)
        word = self.generator.choice([word for word in TIMES if word != "half"])
        ways: list[tuple[str, str, int]] = [
            (f"{added} more {self.things} than {other.name}", "+", added),
            (f"{added} fewer {self.things} than {other.name}", "-", added),
            *((f"{said} the {self.things} of {other.name}", *TIMES[said]) for said in (word, "half")),
        ]
        possible = [way for way in ways if self._is_possible(OPERATIONS[way[1]](other.value, way[2]))]
        said, sign, number = self.generator.choice(possible)
        return self._add(said, (other.name, sign, str(number)), int(OPERATIONS[sign](other.value, number)))

    def _is_possible(self, value: float) -> bool:
        return 2 <= value <= self.largest and value == int(value)  # nobody has 1 pens

    def _add(self, said: str, operation: Operation | None, value: int) -> Person:
        name = self.names.pop()
        person = Person(name, f"{name} has {said} .", operation, value)
        self.people.append(person)
        return person


def _sentences(asked: Person, needed: Sequence[Person]) -> str:
    """The chain in words: from the person asked for down to who is told of, and back with the numbers. Who has been counted is
    recalled where needed again: each number then comes from one sentence, found by a name that was just written."""
    people = {person.name: person for person in needed}
    steps: list[str] = []
    counted: set[str] = set()

    def count(person: Person) -> None:
        steps.append(f"{person.name} has {' '.join(_said(person))} .")
        if person.operation is not None:
            for part in person.operation:
                if part in counted:
                    steps.append(f"{part} has {people[part].value} .")
                elif part in people:
                    count(people[part])
            numbers = [str(people[part].value) if part in people else part for part in person.operation]
            steps.append(f"{person.name} has {' '.join(numbers)} = {person.value} .")
        counted.add(person.name)

    count(asked)
    return " ".join([*steps, f"#### {asked.value}"])


def _program(asked: Person, needed: Sequence[Person]) -> str:
    """The chain as a function's body in one line: every person is a function, that of the one asked for is called."""
    people = {person.name: person for person in needed}
    order = [asked]
    for person in order:  # grows meanwhile
        parts = [people[part] for part in person.operation or () if part in people]
        order += [part for part in parts if part not in order]
    calls = {name: f"{name} ( )" for name in people}
    statements = [f"{person.name} = lambda : {' '.join(calls.get(part, part) for part in _said(person))}" for person in order]
    return " ; ".join([*statements, f"return {asked.name} ( )"]).lower()


def _said(person: Person) -> Sequence[str]:
    """What a chain says of somebody on its way down: a number, or an operation."""
    return person.operation or (str(person.value),)


def _number(word: str) -> int | None:
    return int(word) if word.isdecimal() and len(word) < 10 else None
