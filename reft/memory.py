"""Peak memory of a whole job: this process and all it has started, shared pages counted once."""

import threading

import psutil


class MemoryMeter:
    """Samples the proportional set size of this process and its descendants while the context lasts.

    Processes of a Ray cluster that was up before are not descendants and do not count.

    Args:
        seconds: between samples.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self.seconds = seconds
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> "MemoryMeter":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while True:
            self.peak_bytes = max(self.peak_bytes, sum(_bytes(process) for process in (me, *me.children(recursive=True))))
            if self._ended.wait(self.seconds):
                return


def _bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended between being listed and being asked
        return 0
