import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reft.errors import RunError
from reft.files import (
    MANIFEST,
    build_folder,
    find_damage,
    full_disk_named,
    read_json,
    remove_folder,
    remove_leftovers,
    write_atomically,
)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomically(target, "old")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            write_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("content", [b"", b'{"tokens": 3', b"[1, 2]", b"\xff\xfe"])
def test_a_file_that_somebody_has_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"state.json is damaged: .*; put a copy in its place"):
        read_json(file)
    write_atomically(file, '{"tokens": 3}\n')
    assert read_json(file) == {"tokens": 3}


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        (folder / "one").write_text("1")
        raise RuntimeError("died")

    def whole(folder: Path) -> None:
        (folder / "one").write_text("1")
        (folder / "two").mkdir()
        (folder / "two" / "three").write_text("3")

    with pytest.raises(RuntimeError):
        build_folder(tmp_path / "made", half)
    assert list(tmp_path.iterdir()) == []
    build_folder(tmp_path / "made", whole)
    with pytest.raises(RuntimeError):
        build_folder(tmp_path / "made", half)
    assert (tmp_path / "made" / "two" / "three").read_text() == "3"


def fill(folder: Path) -> None:
    (folder / "trainer").mkdir()
    (folder / "model.safetensors").write_bytes(bytes(range(200)))
    (folder / "trainer" / "state.pt").write_bytes(b"moments")


def tear(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(range(100)))


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[77] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def lose(folder: Path) -> None:
    (folder / "trainer" / "state.pt").unlink()


def scramble(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"model.safetensors": 3')


def strip(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"model.safetensors": {"bytes": 200}}')


def block(folder: Path) -> None:
    (folder / "trainer" / "state.pt").unlink()
    (folder / "trainer" / "state.pt").mkdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (tear, "model.safetensors has 100 bytes, not 200"),
        (flip, "model.safetensors has other content than was written"),
        (lose, "trainer/state.pt is missing"),
        (block, "trainer/state.pt is missing"),
        (scramble, "manifest.json cannot be read: JSONDecodeError"),
        (strip, "manifest.json cannot be read: KeyError('blake2b')"),
    ],
)
def test_damage_is_found_and_named(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    build_folder(tmp_path / "made", fill)
    assert find_damage(tmp_path / "made") is None
    spoil(tmp_path / "made")
    damage = find_damage(tmp_path / "made")
    assert damage is not None
    assert damage.startswith(said)


def test_a_folder_without_a_manifest_is_not_whole(tmp_path: Path) -> None:
    fill(tmp_path)
    assert find_damage(tmp_path) == "manifest.json is missing"
    (tmp_path / MANIFEST).write_text("{}")
    assert find_damage(tmp_path) == "manifest.json names no file"


def test_all_is_on_the_disk_before_it_has_its_name_and_the_name_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []

    def flush(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr("reft.files.os.fsync", flush)
    build_folder(tmp_path / "made", fill)
    aside = f"{tmp_path}/.made.{os.getpid()}"
    assert {f"{aside}/model.safetensors", f"{aside}/trainer/state.pt", aside, f"{aside}/trainer"} <= set(flushed)
    assert flushed[-1] == str(tmp_path)


def test_a_folder_that_is_being_removed_has_its_name_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_folder(tmp_path / "made", fill)

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("reft.files.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_folder(tmp_path / "made")
    assert not (tmp_path / "made").exists()
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".step_1.4711").mkdir()
    (tmp_path / ".file.12").write_text("")
    (tmp_path / ".lock").write_text("")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


class Usage:
    def __init__(self, free: int) -> None:
        self.free = free
        self.total = 1 << 40


@pytest.mark.parametrize(
    ("error", "free", "told"),
    [
        (OSError(28, "No space left on device"), 1 << 40, True),
        (RuntimeError("basic_ios::clear: iostream error"), 0, True),  # torch.save
        (RuntimeError("I/O error: No space left on device (os error 28)"), 1 << 40, True),  # safetensors
        (RuntimeError("basic_ios::clear: iostream error"), 1 << 40, False),
        (PermissionError(13, "Permission denied"), 1 << 40, False),
    ],
)
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, free: int, told: bool) -> None:
    monkeypatch.setattr("reft.files.shutil.disk_usage", lambda path: Usage(free))
    path = tmp_path / "not" / "yet"
    with pytest.raises((OSError, RuntimeError)) as caught, full_disk_named(path):
        raise error
    if told:
        assert (caught.value.errno, caught.value.filename) == (28, str(path))
    else:
        assert caught.value is error
