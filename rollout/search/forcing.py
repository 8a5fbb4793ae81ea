"""Budget forcing: how long a chain thinks is set from outside, by ending it or by not letting it end.

After s1 (Muennighoff et al., arXiv 2501.19393, section 3.1): at most `budget` attempts are made (cap), and a chain that would
end before, not being satisfied, goes on (wait). An attempt is what stands between two of a form's endings, or, where there are
none, between two ends of the chain. There its answer is taken away with its end, so that what goes on is thinking and not the
answer, and in free text a word such as "Wait" is put for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rollout.codec import UNKNOWN
from rollout.pool import Pool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed


@dataclass(frozen=True)
class Form:
    """How chains show that an attempt is made."""

    endings: tuple[str, ...] = ()
    """Texts that end an attempt; without any, the end of the chain does."""
    satisfied: tuple[str, ...] = ()
    """Those of them behind which there is nothing to be gone on with."""
    wait: str = ""
    """What is put where a chain would have ended."""
    answering: str = ""
    """What ends the thinking and begins an answer: both are taken away where a chain goes on. Empty where an answer is one more
    attempt, or nothing is known to begin it."""


WAIT = Form(wait="\nWait,")
"""Of free text, as s1 has it."""


@dataclass(frozen=True)
class Forced:
    """A chain under a budget."""

    sample: Sample
    """The whole chain, scored; what was made before its last attempt is the completion's prefix."""
    attempts: int
    tokens: int
    """All that were drawn for it, answers and end tokens that were taken away included, and those that were discarded."""
    discarded: int
    """Of these, what the engine had drawn behind endings before it looked for one. One that looks at each token has none."""
    over: bool
    """Whether it would not go on: it is satisfied, has ended, or has no tokens left."""


def force(
    pool: Pool, problems: Sequence[Problem], params: SamplingParams, seed: int, budget: int, form: Form, wait: bool = True
) -> list[list[Forced]]:
    """A chain of each problem under budgets of 1, 2, ... `budget` attempts, P lists of so many. A chain of a larger budget
    begins with that of a smaller one, an answer apart, so differences between budgets are those of the same chains.

    Args:
        params: `max_tokens` bounds the whole chain, whatever the budget.
        budget: attempts, at least 1.
        wait: whether a chain that would end before goes on; else budgets only end chains.

    Raises:
        ValueError: for a budget below 1.
    """
    if budget < 1:
        raise ValueError(f"budget={budget} is out of range; choose 1 attempt or more")
    histories: list[list[Forced]] = [[] for _ in problems]
    for attempt in range(budget):
        going = [place for place, history in enumerate(histories) if not history or not history[-1].over]
        if not going:
            return [history + [history[-1]] * (budget - attempt) for history in histories]
        begun = [_go_on(problems[place], histories[place], form) for place in going]
        firm = replace(params, stop=(*params.stop, *form.endings), min_tokens=int(wait and attempt > 0))
        drawn = pool.sample(begun, 1, firm, derive_seed(seed, "attempt", attempt)) if begun else []
        for place, sample in zip(going, drawn, strict=True):
            histories[place].append(_judge(sample, problems[place], histories[place], params, form, wait))
        for history in histories:
            if len(history) <= attempt:
                history.append(history[-1])
    return histories


def _go_on(problem: Problem, history: Sequence[Forced], form: Form) -> Problem:
    """The problem with the chain so far as its prefix."""
    if not history:
        return problem
    last = history[-1].sample.completion
    if _holds(last.text, form.endings):
        return replace(problem, prefix=last.chain)
    return replace(problem, prefix=_thinking(last.chain, form.answering.strip()) + form.wait)


def _thinking(chain: str, answering: str) -> str:
    """A chain without its answer; as it is where it has none."""
    thinking, found, _ = chain.partition(answering) if answering else (chain, "", "")
    return thinking.rstrip() if found else chain


def _judge(
    sample: Sample, problem: Problem, history: Sequence[Forced], params: SamplingParams, form: Form, wait: bool
) -> Forced:
    completion = sample.completion
    attempted = _holds(completion.text, form.endings) or not form.endings
    ended = completion.finish == "stop" and not _holds(completion.text, form.endings)
    # A token is a character or more, so there is room for the wait and one token behind it. What is no text would be longer as
    # a prefix than as it was drawn.
    broken = UNKNOWN in completion.chain
    full = broken or completion.finish == "length" or len(completion.chain_tokens) + len(form.wait) + 1 > params.max_tokens
    before = history[-1] if history else None
    return Forced(
        sample=replace(sample, problem=problem),
        attempts=attempted + (before.attempts if before else 0),
        tokens=completion.drawn + (before.tokens if before else 0),
        discarded=completion.discarded + (before.discarded if before else 0),
        over=_holds(completion.text, form.satisfied) or full or (ended and not wait),
    )


def _holds(text: str, endings: Sequence[str]) -> bool:
    return any(ending in text for ending in endings)  # a token may go on behind an ending
