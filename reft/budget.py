"""How many chains a method may have, so that it spends what reinforcement has spent.

Reinforcement comes first and sets the amount; its metrics also say what a chain is like on the way from the warm-up to a good
policy, how long and how often right. The other methods go the same way by other means, so its means are the best guess there
is at theirs. What they really spend stands in the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reft.flops import LEARN, Cost
from reft.run import WARMUP, RunState
from rollout.work import Work, work_of_text

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Prices:
    """What is paid, in operations or in seconds."""

    sample: float
    """For a chain to be sampled, its prompt included."""
    imitate: float
    """For a sampled chain to be imitated once, by the trainer of the warm-up."""
    update: float
    """The same by the learner of the loop."""
    demonstration: float
    """For a demonstration to be imitated once, by the trainer of the warm-up."""
    right: float
    """The share of sampled chains that are right, and so imitated, in [0, 1]."""


def operations(rows: Sequence[Row], warm: RunState, model: Cost, shown: float) -> Prices:
    """Prices in floating-point operations, from the metrics of reinforcement, the warm-up's counters, what the model costs and
    how many demonstrations the warm-up went over, repeats counted."""
    chains = _total(rows, "samples/count")
    sampled = Work(_total(rows, "samples/computed_tokens"), _total(rows, "samples/computed_pairs"))
    length = (_total(rows, "samples/tokens") + _total(rows, "samples/prompt_tokens")) / chains
    whole = model.forward(work_of_text(round(length)))
    return Prices(
        sample=model.forward(sampled) / chains,
        imitate=LEARN * whole,
        update=LEARN * whole,
        demonstration=warm.flops[WARMUP] / shown,
        right=_right(rows),
    )


def durations(rows: Sequence[Row], warm: RunState, epochs: int, shown: float) -> Prices:
    """Prices in seconds of this machine, as `operations`; reinforcement went `epochs` times over its chains."""
    chains = _total(rows, "samples/count")
    length = (_total(rows, "samples/tokens") + _total(rows, "samples/prompt_tokens")) / chains
    token = warm.seconds["warmup"] / warm.tokens_imitated[WARMUP]
    return Prices(
        sample=_total(rows, "time/sample") / chains,
        imitate=token * length,
        update=_total(rows, "time/update") / (epochs * _total(rows, "samples/kept")),
        demonstration=warm.seconds["warmup"] / shown,
        right=_right(rows),
    )


Bill = Literal["demonstrations", "rounds", "rounds-with-demonstrations", "loop"]
"""What a method pays for: demonstrations alone; chains, and the imitation of the right ones; all demonstrations besides;
chains, and in the loop the right ones and the demonstrations of the same problems."""
BILLS: Mapping[str, Bill] = {
    "sft": "demonstrations",
    "star": "rounds",
    "rest-em": "rounds",
    "rft": "rounds-with-demonstrations",
    "offline-st": "rounds-with-demonstrations",
    "online-st": "loop",
}


def cost(bill: Bill, prices: Prices, epochs: float, demonstrations: int, shown: float) -> tuple[float, float]:
    """What a method pays before its first chain, and for each chain.

    Args:
        bill: what it pays for.
        prices: the prices.
        epochs: how often it goes over what it imitates.
        demonstrations: how many there are.
        shown: the share of problems that have one, in [0, 1].
    """
    match bill:
        case "demonstrations":
            return 0.0, prices.demonstration  # its chains are demonstrations, repeats counted
        case "loop":
            return 0.0, prices.sample + (prices.right + shown) * epochs * prices.update
        case "rounds":
            return 0.0, prices.sample + prices.right * epochs * prices.imitate
        case "rounds-with-demonstrations":
            chain = prices.sample + prices.right * epochs * prices.imitate
            return demonstrations * epochs * prices.demonstration, chain


def _total(rows: Sequence[Row], name: str) -> float:
    return sum(float(row[name]) for row in rows)


def _right(rows: Sequence[Row]) -> float:
    return sum(row["answer/correct"] * row["samples/count"] for row in rows) / _total(rows, "samples/count")
