"""What a person sees while a run works: a bar with rate and time left on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINE_SECONDS = 15.0
"""Between lines where there is no terminal."""


class Display:
    """Notes and bars on the standard error stream; standard output is left to results."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def note(self, text: str) -> None:
        self.console.print(text)

    @contextmanager
    def bar(self, title: str, total: int, unit: str, start: int = 0) -> Iterator["Bar"]:
        """A bar of `total` units, of which `start` were done before."""
        if not self.console.is_terminal:
            yield Bar(self, title, total, unit, start, None, None)
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[facts]}"),
        )  # fmt: skip
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=total, completed=start, facts="")
            yield Bar(self, title, total, unit, start, progress, task)


class Bar:
    """One long phase."""

    def __init__(
        self, display: Display, title: str, total: int, unit: str, start: int, progress: Progress | None, task: TaskID | None
    ) -> None:
        self.display, self.title, self.total, self.unit, self.start = display, title, total, unit, start
        self.progress, self.task = progress, task
        self.begun = time.monotonic()
        self.printed = self.begun

    def update(self, done: int, facts: str = "") -> None:
        """Show that `done` units are done, and `facts` beside them."""
        now = time.monotonic()
        text = "  ".join(part for part in (self._pace(done, now), facts) if part)
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done, facts=text)
        elif now - self.printed >= LINE_SECONDS or done >= self.total:
            self.printed = now
            self.display.note(f"{self.title} {done}/{self.total}  {text}")

    def _pace(self, done: int, now: float) -> str:
        elapsed, finished = now - self.begun, done - self.start
        if finished <= 0 or elapsed <= 0:
            return ""
        rate = finished / elapsed
        speed = f"{rate:,.1f} {self.unit}/s" if rate >= 1 else f"{1 / rate:.1f} s/{self.unit}"
        left = (self.total - done) / rate
        return f"{speed}  {_duration(left)} left" if done < self.total else f"{speed}  {_duration(elapsed)}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
