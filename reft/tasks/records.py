"""Records of a data set to problems, demonstrations and answers, by templates named in the config.

Shared by the `jsonl` and `hub` tasks. A template is text with a record's fields in braces, e.g. `{Body} {Question}`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reft.errors import ConfigError, DataError
from reft.tasks import Demonstration, Hint, SplitName, Splits, Trace, split_of
from rewards.algebra.number import number
from rewards.answer import STYLES
from rewards.program import DEFINITION, Program, up_to_end
from rollout.types import Problem

Record = Mapping[str, Any]
PROGRAM = "program"
"""The style of chains that are programs."""


@dataclass(frozen=True)
class RecordTask(ABC):
    """How a record becomes a problem. The defaults are the ReFT paper's (mwp_ReFT train_rl_reft.py:49-51, 142-145)."""

    question: str = "{question}"
    """Template of the question."""
    chain: str | None = "{answer_cot}"
    """Template of the worked solution; null where the data set has none (then there is nothing to warm up on)."""
    answer: str = "{answer_value}"
    """Template of the answer."""
    answer_after: str | None = None
    """A marker inside `chain` and `answer`, such as `####`: the solution stands before its last place, the answer behind."""
    remove: str | None = None
    """Regular expression of what to delete from solutions, such as GSM8K's `<<[^>]*>>`."""
    numeric: bool = False
    """Whether answers are numbers: a record whose answer is none is then an error, and a chain's is no answer."""
    prompt: str = "Question:\n{question}\nAnswer reasoning:\n"
    """Template of the prompt."""
    opening: str = ""
    """Template of how every chain begins. It stands at the end of the prompt, so that the model goes on from there; `remove`
    takes it off the solutions. ReFT's for programs: `def solution():`, the question as docstring, and the end of the line
    (train_rl_reft.py:151-153); one that ends in the indentation suits a tokenizer that loses spaces where a text begins."""
    closing: str = "\nTherefore, the answer is: {answer}"
    """Template of what ends a demonstration; the answer is read back from this form. Empty where the chain is a program."""
    hint: str = ""
    """Template of what follows the question where `self_training.rationalize` tells the answer beforehand, such as
    ` (Hint: it is {answer}.)`; empty where nothing does. By its words a chain that quotes it is known and left out, so they
    must not be those of `closing`."""
    style: str = "reft"
    """How the answer is read from a chain: reft, hashes, boxed, strict, lenient, last_number; or program (P-CoT): the chain is
    a program, run in a sandbox (`programs`), and what its `solution()` returns is the answer."""
    limit: int | None = None
    """Records read at most from each split, for a quick try."""

    @abstractmethod
    def records(self, split: SplitName) -> Sequence[tuple[str, Record]] | None:
        """The records of a split, each with a name for error messages; None where the data set has no such split.

        Raises:
            DataError: if they cannot be had.
        """

    def validate(self) -> None:
        if self.style not in (*STYLES, PROGRAM):
            raise ConfigError(f"task.style={self.style!r} is unknown; choose from {', '.join(STYLES)}, {PROGRAM}")
        if self.style == PROGRAM and self.closing:
            raise ConfigError(
                f"task.closing={self.closing!r} would stand behind a program; set it to '' for task.style=program"
            )
        for name, field in (("prompt", "question"), *([("closing", "answer")] if self.style != PROGRAM else [])):
            if f"{{{field}}}" not in vars(self)[name]:
                raise ConfigError(f"task.{name}={vars(self)[name]!r} has no {{{field}}}; add it")
        if self.hint and not ("{answer}" in self.hint and re.search(r"\w", self.hint.replace("{answer}", ""))):
            raise ConfigError(f"task.hint={self.hint!r} needs {{answer}} and words of its own, by which it is known again")
        if self.hint and Hint("", self.hint).stands_in(self.closing):
            raise ConfigError(
                f"task.hint={self.hint!r} stands in task.closing={self.closing!r}, so that every chain would quote it; choose "
                "other words, such as ' (Hint: it is {answer}.)'"
            )
        if self.remove is not None:
            try:
                re.compile(self.remove)
            except re.error as error:
                raise ConfigError(f"task.remove={self.remove!r} is no regular expression: {error}") from error
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"task.limit={self.limit} is out of range; choose 1 or more, or null")

    def splits(self) -> Splits:
        train = self._problems("train")
        if not train:
            raise DataError("the training split is empty; give it at least one record")
        return split_problems(train, self._problems("dev"), self._problems("test"))

    def words(self) -> None:
        return None

    @property
    def answering(self) -> str:
        """What demonstrations say before their answer."""
        return self.closing.partition("{answer}")[0].strip()

    def hinted(self, problem: Problem) -> Hint:
        if not self.hint:
            raise ConfigError("task.hint is empty, so there is nothing to rationalize by; write one with {answer}")
        text, question = self.hint.replace("{answer}", problem.answer), problem.columns["question"]
        return Hint(self.prompt.replace("{question}", question + text) + problem.columns["opening"], text.strip())

    def read(self, problem: Problem, text: str) -> str | Program | None:
        if self.style == PROGRAM:
            return Program(problem.columns["opening"] + up_to_end(text), self.numeric)
        answer = STYLES[self.style](text)
        # As ReFT's code, which takes what `float` refuses for no answer: it earns nothing, not the reward of a wrong number.
        return None if self.numeric and answer is not None and number(answer) is None else answer

    def trace(self, problem: Problem, text: str) -> Trace | None:
        return None

    def _problems(self, split: SplitName) -> list[Problem] | None:
        records = self.records(split)
        return None if records is None else [self._problem(record, name) for name, record in records]

    def _problem(self, record: Record, name: str) -> Problem:
        answer = _fill(self.answer, record, name)
        if self.answer_after is not None:
            _, found, answer = answer.rpartition(self.answer_after)
            if not found:
                raise DataError(f"{name}: the answer has no {self.answer_after!r}; set task.answer_after to its marker")
        answer = answer.strip()
        if not answer:
            raise DataError(f"{name}: the answer is empty; give one or remove the record")
        if self.numeric and number(answer) is None:
            raise DataError(f"{name}: the answer {answer[:60]!r} is no number; mend it or set task.numeric=false")
        question = _fill(self.question, record, name).strip()
        # A docstring that ends in a quotation mark of the question's would end too late, and the program with it.
        opening = self.opening.replace('{question}"', question + ' "' if question.endswith('"') else question + '"')
        opening = opening.replace("{question}", question)
        prompt = self.prompt.replace("{question}", question) + opening
        chain = self._chain(record, opening, answer, name)
        return Problem(name, prompt, answer, {"question": question, "opening": opening, "chain": chain})

    def demonstrations(self, problems: Sequence[Problem], seed: int) -> list[Demonstration]:
        missing = next((problem.id for problem in problems if problem.columns["chain"] is None), None)
        if missing is not None:
            raise DataError(f"{missing}: there is no solution to imitate; set task.chain to its field")
        return [Demonstration(problem, problem.columns["chain"]) for problem in problems]

    def _chain(self, record: Record, opening: str, answer: str, name: str) -> str | None:
        # Test files of several data sets come without solutions, which is no error until one is to be imitated.
        if self.chain is None or any(field not in record for field in _fields(self.chain)):
            return None
        text = _fill(self.chain, record, name)
        if self.answer_after is not None:
            text = text.rpartition(self.answer_after)[0] or text
        if self.remove is not None:
            text = re.sub(self.remove, "", text)
        if DEFINITION in opening and DEFINITION in text:
            raise DataError(
                f"{name}: {DEFINITION} stands in task.opening and in the solution; set task.remove to its beginning"
            )
        return _bare(text, opening) + self.closing.replace("{answer}", answer)


def _bare(text: str, opening: str) -> str:
    """A solution without space around it, but for the indentation of its first line where the opening ends with a line."""
    return re.sub(r"\A(?:[ \t]*\n)+", "", text).rstrip() if opening.endswith("\n") else text.strip()


def split_problems(train: list[Problem], dev: list[Problem] | None, test: list[Problem] | None) -> Splits:
    """Splits that share no prompt: what is missing is carved out of `train` by the text's hash, and what `train` has in
    common with a given split leaves `train`; the same holds between `dev` and `test`. Case and punctuation do not count."""
    unique = list({problem.prompt: problem for problem in train}.values())
    if test is None:
        test = [problem for problem in unique if split_of(_words(problem)) == "test"]
    seen = {_words(problem) for problem in test}
    unique = [problem for problem in unique if _words(problem) not in seen]
    if dev is None:
        dev = [problem for problem in unique if split_of(_words(problem)) == "dev"]
    dev = [problem for problem in dev if _words(problem) not in seen]
    seen |= {_words(problem) for problem in dev}
    return Splits([problem for problem in unique if _words(problem) not in seen], dev, test)


def _words(problem: Problem) -> str:
    """A prompt's words and numbers, by which two prompts are the same."""
    return " ".join(re.findall(r"\w+", problem.prompt.lower())) or problem.prompt


def _fields(template: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", template)


def _fill(template: str, record: Record, name: str) -> str:
    """`template` with the record's fields put in; only plain `{field}`, so no format trick reads anything else."""
    for field in _fields(template):
        if field not in record:
            raise DataError(f"{name}: there is no field {field!r}; the record has {', '.join(map(str, record))}")
        if record[field] is None:
            raise DataError(f"{name}: the field {field!r} is empty")
    return re.sub(r"\{(\w+)\}", lambda match: str(record[match[1]]), template)
