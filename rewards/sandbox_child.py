"""The inside of a sandbox process: `python -m rewards.sandbox_child MEMORY_BYTES CPU_SECONDS [MODULE ...]`.

Reads `[function, arguments]` a line, answers `[status, value]` a line, ends when its parent closes the pipe. The CPU
limit is renewed before each call; where it is passed the kernel ends the process, also if the parent is gone.
"""

import importlib
import json
import os
import resource
import sys
from typing import Any

RESERVE_SECONDS = 2
"""CPU seconds beyond a call's limit: the parent's wall-clock deadline is the one that should strike."""


def main() -> None:
    memory_bytes, cpu_seconds, *modules = sys.argv[1:]
    for module in modules:
        importlib.import_module(module)
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a function prints must not be read as a reply
    replies.write("ready\n")
    for line in sys.stdin:
        _renew_cpu(int(cpu_seconds))
        replies.write(json.dumps(_reply(line), default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """Numbers of other libraries as Python's."""
    return value.tolist() if hasattr(value, "tolist") else repr(value)


def _renew_cpu(seconds: int) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(usage.ru_utime + usage.ru_stime) + seconds + RESERVE_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _reply(line: str) -> list[Any]:
    name, arguments = json.loads(line)
    module, _, function = name.partition(":")
    try:
        return ["done", getattr(importlib.import_module(module), function)(*arguments)]
    except Exception as error:  # the boundary: whatever failed inside is data outside
        return ["failed", f"{type(error).__name__}: {str(error)[:200]}"]


if __name__ == "__main__":
    main()
