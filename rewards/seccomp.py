"""A process that gives up every system call but a handful, for good: Linux's seccomp, by `ctypes` alone.

What is left is memory (never executable, never a file's), the clock, random bytes, one descriptor to write to, and the end.
Every other call fails with EPERM, in the process as in whatever native code it may get to run. There is no way back, and
nothing to be root for: the filter holds for root as for anybody. The format is that of linux/seccomp.h and linux/filter.h.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class ConfinementError(Exception):
    """This process cannot be confined here, so it must not run what it was meant to."""


@dataclass(frozen=True)
class _Machine:
    """The numbers of an architecture's system calls (asm/unistd.h)."""

    audit: int
    free: tuple[int, ...]
    """munmap, mremap, madvise, brk, clock_gettime, gettimeofday, getrandom, rt_sigreturn, exit, exit_group"""
    mmap: int
    mprotect: int
    write: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, (11, 25, 28, 12, 228, 96, 318, 15, 60, 231), mmap=9, mprotect=10, write=1),
    "aarch64": _Machine(0xC00000B7, (215, 216, 233, 214, 113, 169, 278, 139, 93, 94), mmap=222, mprotect=226, write=64),
}

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # places in struct seccomp_data
_PROT_EXEC, _MAP_ANONYMOUS = 4, 0x20
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2

_Instruction = tuple[int, int, int, int]
"""Operation, how many instructions to pass over where it holds and where it does not, operand."""
_Condition = tuple[int, Literal["equal", "some", "none"], int]
"""Of an argument of a call, by its place: that it equals a value, or has some or none of the value's bits."""


class Confinement:
    """The end of a process's freedom, made ready where there is time, to be put on behind a fork.

    Args:
        descriptor: the only one that `write` is left for.

    Raises:
        ConfinementError: where system calls of this machine's kind are not known.
    """

    def __init__(self, descriptor: int) -> None:
        machine = _MACHINES.get(platform.machine())
        if machine is None:
            raise ConfinementError(f"system calls are not known for {platform.machine()}, only for {', '.join(_MACHINES)}")
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in _filter(machine, descriptor))
        self._code = ctypes.create_string_buffer(code, len(code))
        self._program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(self._code)))
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]

    def confine(self) -> None:
        """Give up, in this process and for good, every system call but those that the module names.

        Raises:
            ConfinementError: where the kernel does not offer it. Nothing may then be run.
        """
        if self._prctl(_PR_SET_NO_NEW_PRIVS, 1, None, 0, 0) or self._prctl(
            _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._program, 0, 0
        ):
            raise ConfinementError(f"the kernel offers no seccomp filter: {os.strerror(ctypes.get_errno())}")
        try:
            os.close(os.open("/", os.O_RDONLY))
        except PermissionError:
            return
        raise ConfinementError("the kernel took a seccomp filter, and does not apply it")


def _filter(machine: _Machine, descriptor: int) -> list[_Instruction]:
    """The filter as instructions of the kernel's classic packet filter."""
    instructions: list[_Instruction] = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, machine.audit), (_RETURN, 0, 0, _DENY)]
    instructions.append((_LOAD, 0, 0, _NUMBER))
    for call in machine.free:
        instructions += _permit(call, [])
    instructions += _permit(machine.write, [(0, "equal", descriptor)])
    instructions += _permit(machine.mmap, [(2, "none", _PROT_EXEC), (3, "some", _MAP_ANONYMOUS)])
    instructions += _permit(machine.mprotect, [(2, "none", _PROT_EXEC)])
    return [*instructions, (_RETURN, 0, 0, _DENY)]


def _permit(call: int, conditions: Sequence[_Condition]) -> list[_Instruction]:
    """Where the loaded number is that of `call`: allow it under the conditions, deny it otherwise. Else go on behind."""
    checks: list[_Instruction] = []
    for at, (place, kind, value) in enumerate(conditions):
        denial = 2 * (len(conditions) - at) - 1  # behind the other checks and the permission
        passes, fails = (denial, 0) if kind == "none" else (0, denial)
        operation = _EQUAL if kind == "equal" else _ANY_BIT
        checks += [(_LOAD, 0, 0, _ARGUMENTS + 8 * place), (operation, passes, fails, value)]
    ending = [(_RETURN, 0, 0, _ALLOW), *([(_RETURN, 0, 0, _DENY)] if conditions else [])]
    return [(_EQUAL, 0, len(checks) + len(ending), call), *checks, *ending]
