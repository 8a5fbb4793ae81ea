"""What the threads of this process are doing, for a person who wonders why one does not answer."""

import sys
import threading
import traceback

PACKAGES = ("rollout", "rewards", "reft")
FRAMES = 8


def describe_threads() -> str:
    """Where every other thread is that is at work in this project's code: from there on inwards, the last call at the end."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = []
    for number, frame in sys._current_frames().items():
        if number == threading.get_ident():
            continue
        stack = traceback.extract_stack(frame)
        ours = [place for place, part in enumerate(stack) if any(f"/{package}/" in part.filename for package in PACKAGES)]
        if ours:
            lines = "".join(traceback.format_list(stack[ours[0] :][-FRAMES:])).rstrip()
            found.append(f"thread {names.get(number, number)}:\n{lines}")
    return "\n".join(found) or "no thread is at work"
