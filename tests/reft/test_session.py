"""What a session does with what an imitation has saved on the way."""

from pathlib import Path
from types import SimpleNamespace

from reft.session import _discard_other_ranks


def settings(ranks: int = 1, zero: int = 0, micro_batch: int = 8) -> SimpleNamespace:
    return SimpleNamespace(ranks=ranks, zero=zero, config=SimpleNamespace(micro_batch=micro_batch))


def test_what_the_same_ranks_saved_is_kept_and_what_others_saved_is_not(tmp_path: Path) -> None:
    scratch = tmp_path / "trainer"
    assert not _discard_other_ranks(scratch, settings()), "there is nothing yet"  # type: ignore[arg-type]
    (scratch / "checkpoint-5").mkdir()
    assert not _discard_other_ranks(scratch, settings())  # type: ignore[arg-type]
    assert (scratch / "checkpoint-5").is_dir()
    for other in (settings(ranks=2), settings(zero=2), settings(micro_batch=4), settings()):
        (scratch / "checkpoint-5").mkdir(exist_ok=True)
        assert _discard_other_ranks(scratch, other)  # type: ignore[arg-type]
        assert not list(scratch.glob("checkpoint-*"))
        assert not _discard_other_ranks(scratch, other), "the new ones have saved nothing"  # type: ignore[arg-type]
