"""Ray's reasons in plain words; the messages are those of Ray 2.60."""

import pytest

from rollout.exits import KILLED, explain_exit

HEAD = "The actor died unexpectedly before finishing this task.\n\tclass_name: A\n\tpid: 27048\n\tip: 10.0.0.1\n"
DEAD = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
GUESSES = (
    "Some common causes include: (1) the process was killed by the OOM killer due to high memory usage, (2) ray stop --force "
    "was called, or (3) the worker crashed unexpectedly due to SIGSEGV or another unexpected error."
)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            f"{HEAD}{DEAD}Worker unexpectedly exits with a connection error code 2. End of file. {GUESSES}",
            f"process 27048 {KILLED}",
        ),
        (
            f"{HEAD}{DEAD}Worker exits unexpectedly. Worker exits with an exit code 4.",
            "process 27048 ended by itself with exit code 4",
        ),
        (
            f"{HEAD}The actor died because its node has died. Node Id: 0ec9\n\tthe actor's node was terminated unexpectedly.",
            "process 27048 is gone with its node",
        ),
        (
            "Task was killed due to the node running low on memory.\nMemory on the node was 7.61GB / 8.00GB (0.951), which "
            "exceeds the memory usage threshold of 0.95.",
            "a process was killed by Ray, since its node ran out of memory",
        ),
        (
            "The actor died because of an error raised in its creation task, \x1b[36mray::B.__init__()\x1b[39m (pid=27269, "
            'ip=10.0.0.1)\n  File "b.py", line 13, in __init__\n    raise KeyError("no")\nKeyError: \'no\'',
            "process 27269 could not be set up: KeyError: 'no'",
        ),
        (
            f"{HEAD}The actor is dead because it was killed by `ray.kill`.",
            "process 27048 was killed by `ray.kill`",
        ),
        ("The actor is temporarily unavailable: RpcError", "a process cannot be reached: it has died, or its node is gone"),
        ("Something new\nand more", "a process is gone: Something new"),
        ("", "a process is gone: RuntimeError('')"),
    ],
)
def test_exits_are_told_in_plain_words(message: str, words: str) -> None:
    assert explain_exit(RuntimeError(message)) == words
