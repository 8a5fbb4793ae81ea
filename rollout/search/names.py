"""What strategies are called, and what they do, in words. Nothing is imported, so that help can tell them."""

STRATEGIES = {
    "vote": "the answer of most of so many chains",
    "best": "that of the chain, of so many, that the policy is surest of",
    "weighted": "the answer that it is surest of in all",
    "cap": "a chain of so many attempts at most",
    "wait": "of just so many, unless one of them is right by its own word",
    "ask": "a chain whose prompt asks for so much",
    "revise": "rounds, each shown the last",
}
"""Those of `rollout.search.strategies`, each with what it comes back with."""
UNITS = {"vote": "chains", "best": "chains", "weighted": "chains", "revise": "rounds"}
"""What their budgets count, where tasks do not decide that."""
FORCED = {
    "cap": {"tries": "tries cut", "tokens": "cut at so many tokens"},
    "wait": {
        "tries": "tries cut and called for",
        "ends": "ends taken away",
        "turns": "ends, with a word put for them",
    },
    "ask": {"tries": "tries asked for", "tokens": "tokens asked for"},
}
"""What forced chains are, by the unit of their budgets."""
TOGETHER = {
    "one_try_vote": "vote of one-try chains",
    "one_try_weighted": "weighted vote of one-try chains",
    "one_try_oracle": "oracle over one-try chains",
    "chain_vote": "vote of whole chains",
    "chain_weighted": "weighted vote of whole chains",
    "chain_oracle": "oracle over whole chains",
}
"""Of studies of chains: many of them together."""
SHORT = TOGETHER | {
    "vote": "vote",
    "best": "surest chain",
    "weighted": "weighted vote",
    "cap": "cut short",
    "wait": "made to go on",
    "ask": "asked for",
    "revise": "revised",
    "natural": "natural length",
    "maj@k": "majority of k",
    "pass@k": "one of k is right",
    "upper_bound": "one of them is right",
}
"""What curves are called where there is little room."""


def short(strategy: str) -> str:
    """A curve's name where there is little room."""
    return SHORT.get(strategy, strategy.replace("_", " "))


def counted(budget: object, unit: str) -> str:
    """A budget and what it counts: `1 try`, `2 tries`."""
    return f"{budget} {unit}" if str(budget) != "1" else "1 try" if unit == "tries" else f"1 {unit.removesuffix('s')}"


def words(strategy: str, unit: str) -> str:
    """What chains of a strategy are whose budget counts this."""
    return FORCED.get(strategy, {}).get(unit) or TOGETHER.get(strategy, strategy)
