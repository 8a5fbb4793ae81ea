"""Files that are whole or not there: written aside, flushed to disk, renamed into place; folders with checksums of what is in
them."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reft.errors import RunError

FULL = (errno.ENOSPC, errno.EDQUOT)
MANIFEST = "manifest.json"
SCRAPS = 1 << 16
"""Bytes left on a disk that is full all the same."""


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Turn whatever a library raises when the disk of `path` is full into an `OSError` that names `path`."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, OSError) and error.errno in FULL
        if known or os.strerror(errno.ENOSPC) in str(error) or _is_full(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def _is_full(path: Path) -> bool:
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    usage = shutil.disk_usage(there)
    return usage.total > 0 and usage.free < SCRAPS  # file systems of the kernel have no size at all


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file that `write_atomically` wrote.

    Raises:
        RunError: if it is no longer that.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}; put a copy in its place, or begin a run elsewhere") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: it holds no object; put a copy in its place, or begin a run elsewhere")
    return content


def write_atomically(path: Path, text: str) -> None:
    """Write a text file; a reader sees the old content or the new, and a failure leaves no part of it behind."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def build_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder with what `fill` writes into it, in place of an earlier one; a failure leaves no part of it behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir()
        with full_disk_named(path):
            fill(aside)
        seal_folder(aside)
        if path.exists():
            path.rename(before := path.with_name(f".{path.name}.0{os.getpid()}"))
            aside.rename(path)
            shutil.rmtree(before)
        else:
            aside.rename(path)
        _flush(path.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def seal_folder(path: Path) -> None:
    """Flush a folder's files to disk and write their sizes and checksums beside them, as `manifest.json`."""
    with full_disk_named(path):
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != MANIFEST)
        for file in files:
            _flush(file)
        known = {file.relative_to(path).as_posix(): {"bytes": file.stat().st_size, "blake2b": _digest(file)} for file in files}
        write_atomically(path / MANIFEST, json.dumps(known, indent=1) + "\n")
        for folder in (path, *(inner for inner in path.rglob("*") if inner.is_dir())):
            _flush(folder)  # or their names may be lost though they are not


def is_sealed(path: Path) -> bool:
    """Whether a folder has a manifest, which is written last."""
    return (path / MANIFEST).is_file()


def find_damage(path: Path) -> str | None:
    """What is wrong with a folder that was sealed, or None. The manifest is written last, so one without it is not whole."""
    manifest = path / MANIFEST
    if not is_sealed(path):
        return f"{MANIFEST} is missing"
    try:
        known = json.loads(manifest.read_text(encoding="utf-8"))
        if not known:
            return f"{MANIFEST} names no file"
        for name, record in known.items():
            file = path / name
            if not file.is_file():
                return f"{name} is missing"
            if (size := file.stat().st_size) != record["bytes"]:
                return f"{name} has {size:,} bytes, not {record['bytes']:,}"
            if _digest(file) != record["blake2b"]:
                return f"{name} has other content than was written"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} cannot be read: {error!r}"
    except OSError as error:
        return f"{error.filename or path} cannot be read: {error.strerror}"
    return None


def remove_folder(path: Path) -> None:
    """Delete a folder, so that whoever is killed meanwhile leaves no half of it under its name."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    path.rename(aside)
    shutil.rmtree(aside)


def is_leftover(path: Path) -> bool:
    """Whether a writer of this module writes, or has written, something aside under this name."""
    return path.name.startswith(".") and path.name.rpartition(".")[2].isdigit()


def move_folder(path: Path, target: Path) -> None:
    """Give a folder another name, for good."""
    path.rename(target)
    _flush(target.parent)


def remove_leftovers(folder: Path) -> None:
    """Delete what writers that were killed have left aside in `folder`."""
    for path in folder.iterdir():
        if is_leftover(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
