"""Text in, verdicts out: find the final answer in a chain, compare it with the known one, turn the verdict into a reward.

Nothing here knows of models, tokens or training. Imports go `rewards <- rollout <- reft`. `rewards.grade(gold, prediction)`
is the whole of it in one call; `Policy` says what counts as the same, `Checker` compares answers that are found already.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewards.algebra.scalar import Policy
    from rewards.equal import Checker, Verdict
    from rewards.grading import Grade, grade

__all__ = ["Checker", "Grade", "Policy", "Verdict", "grade"]

_HOMES = {
    "Checker": "rewards.equal",
    "Grade": "rewards.grading",
    "Policy": "rewards.algebra.scalar",
    "Verdict": "rewards.equal",
    "grade": "rewards.grading",
}


def __getattr__(name: str) -> Any:
    """A name is loaded when it is first asked for, so that importing a part of the package loads no more than that."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rewards' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
