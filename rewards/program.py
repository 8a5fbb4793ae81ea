"""Run programs that models write (P-CoT in ReFT, arXiv 2401.08967, section 3.1): what `solution()` returns is the answer.

What a program cannot do, whatever it is: it is a process of its own that has given up all system calls but those for memory,
the clock, random bytes, its reply and its end, by a filter of the kernel that cannot be taken back (`rewards.seccomp`). So
there are no files, no network, no other processes or threads, no signals, no waiting; nothing is left behind. Behind that
filter stands a second wall: where root would run it, the program runs as nobody, with no right to a process or a file's byte.
Processor time, wall time and address space are limited; it is killed by the kernel and from outside, so nothing that it catches
keeps it alive. The reply is cut at an answer's length and belongs to this program alone. Where the kernel does not offer
this, nothing is run: the first call raises.

What is for order, not for safety: `import` takes only the listed modules, and what is printed goes nowhere.

What is not guarded against: a flaw in the kernel's few calls; reading the memory of the process it was forked from, which
holds the environment and programs before it, but no known answer, and out of which only the answer's text comes; heating the
processor until its time is up. A program may say what it likes about its own answer, as any chain may.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rewards.algebra.number import number
from rewards.program_child import ENTRY, UNASKED, WALL
from rewards.sandbox import Limits, Outcome, Sandbox

IMPORTS = ("math", "fractions", "decimal", "itertools", "functools", "collections", "datetime", "statistics")
"""Modules that a program may import. They are there without being imported, too, as ReFT's engine has it (python_engine.py)."""
GRACE_SECONDS = 5.0
"""Beyond a program's deadline, for the process that kills it: one that does not answer then is killed itself."""
DEFINITION = f"def {ENTRY}("
"""How the definition begins of what a program is called by."""
LONGEST_REASON = 300
"""Characters kept of why there is no answer; a program may name an exception as it likes."""
_NUMBER = re.compile(r"[-+]?[\d.,]+([eE][-+]?\d+)?(/\d+)?")
"""What a program may return for a number: no list of one, no text around it, however well that could be read."""
_BEHIND = re.compile(r"\n[ \t]*\n(?=\S)")
TRIAL, TRIAL_RESULT = "def solution(): return 6 * 7", "42"


class ProgramError(Exception):
    """Programs cannot be run on this machine; the message says why."""


@dataclass(frozen=True)
class Program:
    """A chain that computes its answer.

    `source` is Python that defines `solution()`; with `numeric`, what it returns counts as an answer only if it is a number,
    as in ReFT's code, where anything that `float` refuses is null (train_rl_reft.py:62).
    """

    source: str
    numeric: bool = False


def up_to_end(text: str) -> str:
    """What a model wrote, up to a blank line behind `solution()`, from which on a line is not indented: the function is over.

    ReFT's code cuts at any blank line (python_engine.py:51), also in the middle of a function.
    """
    end = _BEHIND.search(text, max(text.find(DEFINITION), 0))
    return text[: end.start()] if end else text


@dataclass(frozen=True)
class Result:
    """The answer's text, or None and the reason why there is none."""

    answer: str | None
    reason: str


class Programs:
    """Runs programs, several at once, each in a process of its own that is confined and killed at its deadline.

    Args:
        limits: processor seconds and bytes of one program.
        processes: programs that run at once.
        imports: modules that a program may import. `sympy` may be added; processes are then larger, and programs slower to
            start.
    """

    def __init__(self, limits: Limits | None = None, processes: int = 1, imports: Sequence[str] = IMPORTS) -> None:
        self.limits = limits or Limits(memory_bytes=1 << 29)
        self.imports = tuple(imports)
        outer = Limits(WALL * self.limits.seconds + GRACE_SECONDS, memory_bytes=self.limits.memory_bytes)
        self.sandbox = Sandbox(outer, processes, modules=["rewards.program_child", *UNASKED, *self.imports])
        self._works = False

    def run(self, programs: Sequence[Program]) -> list[Result]:
        """The result of each. Takes at most `seconds` of a processor for each.

        Raises:
            ProgramError: if programs cannot be run, or not safely, on this machine.
        """
        if not programs:
            return []
        if not self._works:
            trial = self._run(Program(TRIAL))
            if trial.answer != TRIAL_RESULT:
                raise ProgramError(f"programs cannot be run here: {trial.reason or f'6 * 7 gives {trial.answer}'}")
            self._works = True
        with ThreadPoolExecutor(self.sandbox.processes) as threads:
            return list(threads.map(self._run, programs))

    def close(self) -> None:
        self.sandbox.close()

    def _run(self, program: Program) -> Result:
        outcome = self._call(program.source)
        if outcome.status != "done":
            # Not the program failed but what runs it. Where that was the program's doing, another one still runs.
            outcome = self._call(program.source)
            if outcome.status != "done":
                trial = self._call(TRIAL)
                if trial.status != "done" or trial.value[0] != TRIAL_RESULT:
                    raise ProgramError(f"programs cannot be run here: {outcome.reason}")
                return Result(None, outcome.reason)
        answer, reason = outcome.value
        if answer is not None and program.numeric and not (_NUMBER.fullmatch(answer) and number(answer) is not None):
            return Result(None, f"the program returned {answer[:40]!r}, which is no number")
        return Result(answer, reason[:LONGEST_REASON])

    def _call(self, source: str) -> Outcome:
        return self.sandbox.call("rewards.program_child:run", source, self.imports, self.limits.seconds)
