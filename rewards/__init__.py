"""Text in, verdicts out: find the final answer in a chain, compare it with the known one, turn the verdict into a reward.

Nothing here knows of models, tokens or training. Imports go `rewards <- rollout <- reft`. `rewards.grade(gold, prediction)`
is the whole of it in one call.
"""

from typing import Any

__all__ = ["grade"]


def __getattr__(name: str) -> Any:
    """`grade` is loaded when it is first asked for, so that importing a part of the package loads no more than that."""
    if name == "grade":
        from rewards.grading import grade

        return grade
    raise AttributeError(f"module 'rewards' has no attribute {name!r}")
