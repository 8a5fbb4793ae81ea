"""Why a process of a Ray cluster is gone, in plain words. Ray's own messages name everything that it might have been."""

import re

KILLED = "was killed or crashed (SIGKILL from somebody, or from the kernel where memory ran out; SIGSEGV, SIGABRT)"
"""What Ray cannot tell apart: the process's connection ended."""

_KNOWN = (
    (r"(?s)creation task.*?(\w+(?:Error|Exception|Exit)\b[^\n]*)\s*$", "could not be set up: {0}"),
    (
        r"(?i)node .*(?:low on memory|running out of memory)|OOM.*threshold",
        "was killed by Ray, since its node ran out of memory",
    ),
    (r"(?i)node (?:has died|was terminated|is dead|unexpectedly)", "is gone with its node"),
    (r"(?i)exit code (-?\d+)", "ended by itself with exit code {0}"),
    (r"(?i)connection error code|SYSTEM_ERROR", KILLED),
    (r"(?i)killed by `?ray\.kill", "was killed by `ray.kill`"),
    (r"(?i)never ran|unschedulable", "could not be started: no node has room for it"),
    (r"(?i)unavailable", "cannot be reached: it has died, or its node is gone"),
)


def explain_exit(error: BaseException) -> str:
    """What became of a process, from the error that Ray raised instead of its answer, e.g. "process 71 was killed ...".

    What is not known is told in Ray's own first line.
    """
    text = re.sub(r"\x1b\[\d*m", "", str(error)).strip()
    pid = re.search(r"pid[:=]\s*(\d+)", text)
    who = f"process {pid[1]} " if pid and pid[1] != "0" else "a process "
    # A line about what else is common comes before what it was: memory is among its guesses, and no reason then.
    told = re.sub(r"(?s)(?:Some common causes include|There are some potential root causes).*", "", text)
    for pattern, words in _KNOWN:
        if found := re.search(pattern, told):
            return who + words.format(*found.groups())
    return who + (f"is gone: {text.splitlines()[0]}" if text else f"is gone: {error!r}")
