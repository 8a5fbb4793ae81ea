"""The inside of a sandbox that runs programs of models: each in a process of its own, forked for it and confined.

The sandbox's process has imported what programs may import, and forks. The fork gives up every system call it does not need
(`rewards.seccomp`), runs the program, writes what it returned to a pipe that is its own, and ends. The kernel ends it when its
processor time is up, the sandbox's process at a later deadline, and that reads no more than an answer's length from it.
Nothing is shared between two programs.
"""

import builtins
import math
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NoReturn

from rewards.seccomp import Confinement, ConfinementError

LONGEST_RESULT = 2_000
"""Characters of what a program returns; no answer is longer (`rewards.answer.LONGEST_ANSWER`)."""
LONGEST_OUTPUT = 100_000
"""Characters that a program may print, to nowhere."""
ENTRY = "solution"
"""The function that a program defines."""
RETURNED, FAILED = b"=", b"!"
"""The first byte of a reply."""
WALL = 10
"""Wall seconds for each of the processor's, before a process is given up: a busy machine makes no program slow."""
REPLY = 0
"""The descriptor of the pipe for the reply, in the process of a program."""
UNASKED = ("_strptime",)
"""Modules that those of the library import in the program's name (`datetime.strptime`)."""
NOBODY = 65_534
"""The user and group that owns nothing, by convention."""
EXACT = 2**53
"""Above it not every integer has a float of its own."""


def run(source: str, imports: Sequence[str], seconds: float) -> list[Any]:
    """What the program's `solution()` returns, as `[text, ""]`, or `[None, why there is nothing]`.

    Args:
        source: Python.
        imports: modules that it may import, and finds imported.
        seconds: of the processor's time; it cannot wait, so on an idle machine this is the wall's.
    """
    return confined(partial(_returned, source, imports), seconds)


def confined(work: Callable[[], str], seconds: float) -> list[Any]:
    """What `work` returns, done in a confined process, as `[text, ""]`, or `[None, why there is nothing]`."""
    confinement = _confinement()
    reply, pipe = os.pipe()
    process = os.fork()
    if not process:
        _work_confined(confinement, work, seconds, pipe)
    os.close(pipe)
    try:
        text = _read(reply, time.monotonic() + WALL * seconds)
    except TimeoutError:
        return [None, f"it took longer than {WALL * seconds:g} s on the wall"]
    finally:
        os.close(reply)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
        return [None, f"it took longer than {seconds:g} s"]
    kind, content = text[:1], text[1:].decode(errors="replace")
    if kind == RETURNED and len(content) <= LONGEST_RESULT:
        return [content, ""]
    if kind == FAILED:
        return [None, content]
    ended = f"signal {status}" if os.WIFSIGNALED(status) else f"exit code {os.waitstatus_to_exitcode(status)}"
    return [None, f"it ended its process, {ended}" if not text else "it wrote over its reply"]


def _read(reply: int, deadline: float) -> bytes:
    """All that comes out of a pipe, up to more than an answer may be.

    Raises:
        TimeoutError: at the deadline.
    """
    poller = select.poll()
    poller.register(reply, select.POLLIN)
    text = b""
    while len(text) <= 4 * LONGEST_RESULT:
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        chunk = os.read(reply, 1 << 14)
        if not chunk:
            break
        text += chunk
    return text


@lru_cache(maxsize=1)
def _confinement() -> Confinement:
    return Confinement(REPLY)


def _work_confined(confinement: Confinement, work: Callable[[], str], seconds: float, pipe: int) -> NoReturn:
    """Confine this process, do the work in it, and end. Never comes back, whatever the work does."""
    try:
        os.dup2(pipe, REPLY)
        os.closerange(REPLY + 1, 1 << 20)
        # The kernel ends it by this signal, which it has no way left to ignore.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # whatever the process that started all this has made of it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
        signal.setitimer(signal.ITIMER_PROF, seconds)
        _become_nobody()
        sys.stdout = sys.stderr = _Output()
        sys.stdin = None
        confinement.confine()
        reply = RETURNED + work().encode(errors="replace")
    except BaseException as error:  # it may raise anything, and this process must not go on
        kind = "" if isinstance(error, ConfinementError) else f"{type(error).__name__}: "
        reply = FAILED + f"{kind}{str(error)[:200]}".encode(errors="replace")
    try:
        os.write(REPLY, reply)
    finally:
        os._exit(0)


def _become_nobody() -> None:
    """Be nobody, who may have no more processes and own no file: a second wall, should the filter ever have a hole."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    for limit in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))


def _returned(source: str, imports: Sequence[str]) -> str:
    """What `solution()` returns, as the text of an answer."""
    import_ = builtins.__import__

    def import_listed(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] not in imports and name not in UNASKED:
            raise ImportError(f"{name} is not among the modules that a program may import: {', '.join(imports)}")
        return import_(name, *arguments)

    namespace: dict[str, Any] = {name: sys.modules[name] for name in imports}
    namespace["__builtins__"] = {**vars(builtins), "__import__": import_listed}
    exec(compile(source, "<program>", "exec"), namespace)
    if ENTRY not in namespace:
        raise NameError(f"the program defines no {ENTRY}()")
    answer = _text(namespace[ENTRY]())
    if len(answer) > LONGEST_RESULT:
        raise ValueError(f"the program returned {len(answer)} characters")
    return answer


def _text(value: Any) -> str:
    """A value as the text of an answer. A float that is a short decimal but for its last bits is that decimal."""
    if value is None:
        raise ValueError("the program returned nothing")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the program returned {value}")
        if value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        short = format(value, ".12g")  # 0.1 + 0.2 is 0.3; 2 / 3 has more digits than this keeps
        return short if len(short) < 12 else repr(value)
    if isinstance(value, Mapping):
        raise TypeError("the program returned a mapping")
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(_text, value))
    return str(value).strip()


class _Output:
    """Where a program prints to: nowhere, and not for ever."""

    def __init__(self) -> None:
        self.left = LONGEST_OUTPUT

    def write(self, text: str) -> int:
        self.left -= len(text)
        if self.left < 0:
            raise OSError(f"the program printed more than {LONGEST_OUTPUT} characters")
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""
