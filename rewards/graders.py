"""Processes that grade a file's lines side by side, each behind a pipe of its own.

`concurrent.futures.ProcessPoolExecutor` does not serve here: its processes share their pipes and locks, so one that is killed
(by the system's want of memory, or anybody) while it reads or writes can leave all others, and the parent, waiting for ever.
"""

import os
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock, Thread

from rewards.algebra.scalar import Policy
from rewards.answer import Mode
from rewards.equal import Checker, Verdict
from rewards.grading import Grade, Line, PairError, Result, grade_line, parsed

CHUNK = 200
"""Lines that travel to a process at once."""
LARGEST_CHUNK = 1_000_000
"""Characters, beyond which no further line joins them."""


def grade_lines(lines: Iterable[Line], mode: Mode, policy: Policy, workers: int) -> Generator[Result, None, None]:
    """Grades of numbered lines, in their order. A line that is no pair gives its number and what is wrong with it.

    With several workers, chunks of lines go to processes of their own, a bounded number of them at a time. Closed early, these
    are killed. Where one is lost, its lines are graded once more, each alone; one that loses its process again is undecided.

    Raises:
        ChildProcessError: if a process cannot start.
    """
    if workers <= 1:
        checker = Checker(policy)
        checker.start()
        try:
            for number, line in lines:
                yield grade_line(number, line, mode, checker)
        finally:
            checker.close()
        return
    with closing(_Graders(workers, mode, policy)) as graders:
        waiting: deque[Future[list[Result]]] = deque()
        for chunk in _chunks(lines):
            waiting.append(graders.submit(chunk))
            if len(waiting) > 4 * workers:  # a file may be larger than the memory
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


class _Graders:
    """A thread for each process, which waits for it and replaces it where it is lost."""

    def __init__(self, count: int, mode: Mode, policy: Policy) -> None:
        self.settings = mode, policy
        self.idle: SimpleQueue[_Grader | None] = SimpleQueue()
        for _ in range(count):
            self.idle.put(None)
        self.threads = ThreadPoolExecutor(count, "grader")
        self.alive: set[_Grader] = set()
        self.closed = False
        self.lock = Lock()
        """Guards `alive` and `closed`."""

    def submit(self, chunk: list[Line]) -> Future[list[Result]]:
        return self.threads.submit(self._grade, chunk)

    def close(self) -> None:
        with self.lock:
            self.closed = True
            for grader in self.alive:
                grader.kill()
        self.threads.shutdown(wait=True, cancel_futures=True)

    def _grade(self, chunk: list[Line]) -> list[Result]:
        grader = self.idle.get()
        try:
            grader = grader or self._start()
            try:
                return grader.grade(chunk)
            except EOFError:
                self._forget(grader)
            found: list[Result] = []
            for line in chunk:
                grader = grader if grader in self.alive else self._start()
                try:
                    found += grader.grade([line])
                except EOFError:
                    self._forget(grader)
                    found.append(_lost(*line))
            return found
        finally:
            self.idle.put(grader if grader in self.alive else None)

    def _start(self) -> "_Grader":
        with self.lock:
            if self.closed:
                raise ChildProcessError("the grading was stopped")
            grader = _Grader(*self.settings)
            self.alive.add(grader)
        try:
            grader.await_start()
        except ChildProcessError:
            self._forget(grader)
            raise
        return grader

    def _forget(self, grader: "_Grader") -> None:
        grader.kill()
        with self.lock:
            self.alive.discard(grader)


class _Grader:
    """One process, and the pipe to it."""

    def __init__(self, mode: Mode, policy: Policy) -> None:
        spawn = get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs, mode, policy), name="reft grader", daemon=True)
        self.process.start()
        theirs.close()  # with the process's own end gone, the pipe ends

    def await_start(self) -> None:
        """Wait until it can grade.

        Raises:
            ChildProcessError: if it ends instead.
        """
        try:
            self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            raise ChildProcessError(
                f"a process to grade with ended as it started, with exit code {self.process.exitcode}"
            ) from error

    def grade(self, chunk: list[Line]) -> list[Result]:
        """Grades of lines.

        Raises:
            EOFError: if the process is lost meanwhile.
        """
        try:
            self.pipe.send(chunk)
            found: list[Result] = self.pipe.recv()
        except OSError as error:  # a broken pipe, or one that was reset
            raise EOFError from error
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def _serve(pipe: Connection, mode: Mode, policy: Policy) -> None:
    """What a process does: grade what comes until nothing more can come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which tells
    Thread(target=_end_with_parent, daemon=True).start()
    checker = Checker(policy)
    checker.start()
    pipe.send("ready")
    while True:
        try:
            chunk = pipe.recv()
        except EOFError:
            break
        pipe.send(_grades(chunk, mode, checker))
    checker.close()


def _grades(chunk: list[Line], mode: Mode, checker: Checker) -> list[Result]:
    return [grade_line(number, line, mode, checker) for number, line in chunk]


def _end_with_parent() -> None:
    """Nobody waits for the grades of a process whose parent was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    characters = 0
    for line in lines:
        chunk.append(line)
        characters += len(line[1]) if isinstance(line[1], str) else 0
        if len(chunk) == CHUNK or characters > LARGEST_CHUNK:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _lost(number: int, line: str | PairError) -> Result:
    pair = parsed(number, line)
    if isinstance(pair, PairError):
        return number, pair
    return pair, Grade(Verdict("undecided", "process", "its process was killed twice", unfinished=True), None, 0.0)
