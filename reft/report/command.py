"""`reft report`."""

from collections.abc import Sequence
from pathlib import Path

from reft.errors import ConfigError
from reft.files import write_atomically
from reft.form import readable
from reft.report.page import build_page
from reft.report.read import read_log, read_run
from reft.run import WARMUP


def report(runs: Sequence[Path], logs: Sequence[Path], problems: int, out: Path | None) -> int:
    """Write the page on runs and published logs, and say where it is."""
    if not runs and not logs:
        raise ConfigError("report needs a run; name a folder such as runs/quickstart-82ddf6, or --log FILE")
    if problems < 1:
        raise ConfigError(f"--problems {problems} is out of range; choose 1 or more")
    if len(set(runs)) < len(runs):
        raise ConfigError("report names a run twice; name each once")
    names = [readable(name) for name in _names(runs)]
    records = [read_run(path, name) for path, name in zip(runs, names, strict=True)]
    curves = [curve for file in logs for curve in read_log(file, problems)]
    file = out or (runs[0] / "report.html" if runs else Path("report.html"))
    if file.is_dir():
        raise ConfigError(f"--out {file} is a folder; name a file")
    page, packed = build_page(records, curves)
    write_atomically(file, page)
    for record in records:
        for note in record.notes:
            print(readable(f"{record.name}: {note}"))
    part = "" if packed.shown == packed.total else f" of {packed.total:,}; the page says so"
    print(f"{readable(file)}: {file.stat().st_size / 1e6:.1f} MB, {packed.shown:,} chains{part}")
    return 0


def unstudied(run: Path) -> list[Path]:
    """The warm-up's checkpoint and the best that came of it, if the chains of one of them have not been studied.

    Raises:
        RunError: if there is no run in the folder.
    """
    record = read_run(run, run.name)
    names = [WARMUP, *(name for name in (record.best,) if name is not None)]
    checkpoints = [run / "checkpoints" / name for name in names if (run / "checkpoints" / name / "config.json").is_file()]
    done = all((run / "eval" / f"chains-{path.name}-test.json").is_file() for path in checkpoints)
    return [] if done else checkpoints


def _names(runs: Sequence[Path]) -> list[str]:
    """The folders' names, or as much of their paths as tells them apart."""
    parts = [path.absolute().parts for path in runs]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in runs]
