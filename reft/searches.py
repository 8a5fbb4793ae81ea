"""Strategies of test-time compute for a task: what their budgets count, and whether a checkpoint can follow them at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reft.errors import ConfigError
from reft.model import check_model, load_tokenizer
from reft.tasks import AnsweringTask, BudgetedTask, SteppedTask, Task
from rewards.equal import Checker
from rollout.codec import Codec
from rollout.search.forcing import WAIT, Form
from rollout.search.names import UNITS
from rollout.search.strategies import REVISION, Ask, Strategy, make_strategy, request
from rollout.types import Problem

BUDGETS = (1, 2, 4, 8)
"""Those of an evaluation that names none."""


@dataclass(frozen=True)
class Plan:
    """A strategy for the problems of a task, under budgets."""

    name: str
    task: Task
    budgets: tuple[int, ...]
    """Ascending, each once."""

    @property
    def form(self) -> Form | None:
        """How the task's chains show their attempts; None where they make none."""
        return self.task.form() if isinstance(self.task, SteppedTask) else None

    @property
    def answering(self) -> str:
        """What stands between thinking and answer in the task's chains; empty where nothing does."""
        return self.task.answering if isinstance(self.task, AnsweringTask) else ""

    @property
    def waiting(self) -> Form:
        """How the task's chains are made to go on: by their attempts, or, where they make none, without answers and ends. Free
        text has a word for both."""
        if isinstance(self.task, SteppedTask):
            return self.form or Form(answering=self.answering)
        return replace(WAIT, answering=self.answering)

    @property
    def ask(self) -> Ask:
        """By a word of the task's own, or in plain words."""
        return self.task.asked if isinstance(self.task, BudgetedTask) else request

    @property
    def unit(self) -> str:
        """What the budgets count."""
        if self.name == "ask":
            return "tries" if isinstance(self.task, BudgetedTask) else "tokens"
        if self.name in ("cap", "wait"):
            return "tries" if self.form else "tokens" if self.name == "cap" else "turns" if self.waiting.wait else "ends"
        return UNITS[self.name]

    @property
    def chains(self) -> int:
        """Longest chains that need room behind a problem's prompt: a revision is shown one."""
        return 2 if self.name == "revise" and max(self.budgets) > 1 else 1

    def asked(self, problem: Problem) -> Problem:
        """The problem with the longest prompt that the strategy makes of it, chains apart."""
        if self.name == "ask":
            return self.ask(problem, max(self.budgets))
        return replace(problem, prompt=REVISION.format(prompt=problem.prompt, chain="")) if self.chains > 1 else problem

    def check(self, checkpoint: str, problem: Problem) -> None:
        """Raise `ConfigError` if a checkpoint's tokenizer cannot read what the strategy puts before it."""
        texts = [self.asked(problem).prompt]
        if self.name == "wait" and self.waiting.wait and max(self.budgets) > 1:
            texts.append(self.waiting.wait)
        if self.name == "cap" and self.form is None:
            texts.append(self.answering)
        tokenizer = load_tokenizer(checkpoint)
        for text in texts:
            try:
                (tokens,) = Codec(tokenizer).prompts([text])
                why = "it has no token for a part of it" if tokenizer.unk_token_id in tokens else ""
            except Exception as error:  # the tokenizers library raises nothing more special
                why = str(error)
            if why:
                raise ConfigError(
                    f"--strategy {self.name} puts words before the model that the tokenizer of {checkpoint} cannot read, "
                    f"{text[-60:]!r}: {why}; choose another, such as vote"
                )

    def crowded(self, checkpoint: str, problems: Sequence[Problem], max_tokens: int) -> list[Problem]:
        """Problems whose prompts leave no room for the longest chains in a checkpoint's positions."""
        codec, context = Codec(load_tokenizer(checkpoint)), int(check_model(checkpoint).max_position_embeddings)
        prompts = codec.prompts([self.asked(problem).prompt for problem in problems])
        return [
            problem
            for problem, prompt in zip(problems, prompts, strict=True)
            if len(prompt) + self.chains * max_tokens > context
        ]

    def make(self, checkpoint: str, checker: Checker) -> Strategy:
        """The strategy for a checkpoint's chains."""
        form = self.waiting if self.name == "wait" else self.form
        return make_strategy(self.name, checker, form, Codec(load_tokenizer(checkpoint)), self.answering, self.ask)


def plan(name: str, task: Task, budgets: Sequence[int] | None, problem: Problem) -> Plan:
    """The plan of a strategy's name.

    Args:
        budgets: None for the usual ones.
        problem: one of the task's.

    Raises:
        ConfigError: if the task's chains have nothing that the strategy could work on.
    """
    if budgets is None:
        budgets = BUDGETS
        if name == "ask":
            budgets = (task.budgets() or (1,)) if isinstance(task, BudgetedTask) else ()
        found = Plan(name, task, tuple(budgets))
        if not budgets or found.unit == "tokens":
            raise ConfigError(f"--strategy {name} needs --budget here: so many tokens, such as 32,64,128")
    found = Plan(name, task, tuple(sorted(set(budgets))))
    if name == "ask":
        for budget in found.budgets:
            found.ask(problem, budget)
    if name == "cap" and found.form is None and not found.answering.strip():
        raise ConfigError(
            "--strategy cap ends a chain at its attempts, or cuts what stands before its answer, and chains of this task show "
            "neither; choose another, such as wait or vote"
        )
    return found


def check_room(found: Plan, crowded: Sequence[Problem], max_tokens: int) -> None:
    """Raise `ConfigError` if some problems are crowded."""
    if crowded:
        raise ConfigError(
            f"--strategy {found.name}: the prompt of {crowded[0].id!r} and {found.chains} × sampling.max_tokens={max_tokens} "
            "are more than the model has positions; lower it, or choose another strategy, such as vote"
        )
