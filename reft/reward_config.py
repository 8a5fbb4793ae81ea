"""The settings of rewards, of the answer checker, and of programs that are run: a docstring under each field."""

from dataclasses import dataclass, field
from typing import Any, Literal

from rewards.program import IMPORTS

JUDGE = "rewards.judge:judge"
"""The reward function that is known to judge answers."""


@dataclass(frozen=True)
class RewardConfig:
    """One reward: which function, its weight in the sum, and keywords it is called with."""

    use: str = ""
    """`module:function` in TRL's, OpenRLHF's or verl's signature, or the name of one that is built in or installed."""
    weight: float = 1.0
    """Factor in the weighted sum that is the reward."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Keywords handed to the function at each call."""
    deadline: float | None = None
    """Wall seconds of a call; with one, the function runs in a process of its own that is killed when it takes longer."""
    agreement: bool | None = None
    """Whether the run records how often it says what the checker says, and warns where they part; null: for `JUDGE` alone."""

    @property
    def is_judge(self) -> bool:
        return self.use == JUDGE if self.agreement is None else self.agreement


@dataclass(frozen=True)
class CheckerConfig:
    """The answer checker."""

    tolerance: float = 0.0
    """Two numbers at most this far apart are equal (ReFT's code: 0.01); 0 is exact."""
    rounding: int = 3
    """A decimal equals an exact answer that rounds to it, from so many significant digits on; 0 asks for equality. Where the
    known answer is an integer nothing is rounded."""
    percent: bool = True
    """Whether a bare number equals the percentage of that number, 50 and 50%; 0.5 and 50% are equal always."""
    units: bool = True
    """Whether a unit may be missing on one side. Units that differ are always different."""
    ordered: bool = False
    """Whether the order of a list without brackets counts. That of a tuple always does, that of a set never."""
    several: Literal["all", "any"] = "all"
    """Of several known answers, as in `2 or 3`, whether all must be given or any one of them will do."""
    seconds: float = 0.4
    """Processor seconds of one comparison in a process of its own, until that is killed; on the wall, ten times as many."""
    memory_mb: int = 1_024
    """Address space of that process."""
    processes: int = 1
    """Such processes a worker keeps."""


@dataclass(frozen=True)
class ProgramsConfig:
    """Programs that a model writes for its answer (P-CoT): what each may use. See `rewards.program`."""

    seconds: float = 2.0
    """Processor seconds until a program is killed (ReFT: 10, on the wall). Endless loops take this long, each."""
    memory_mb: int = 512
    """Address space of a program."""
    processes: int = 1
    """Programs that a worker runs at once."""
    imports: list[str] = field(default_factory=lambda: list(IMPORTS))
    """Modules that a program may import; they are there without being imported, too. `sympy` may be added."""
