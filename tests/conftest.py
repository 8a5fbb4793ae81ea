"""What several tests need: small models made fresh, and the folder of shared data where there is one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.rollout.engine_contract")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DS_ACCELERATOR", "cpu")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of before, whatever a test leaves: work that SIGTERM has ended goes on to ignore it, and so would what tests
    fork."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if handler is not None:  # it was not Python's
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("REFT_SHARED", Path(__file__).parent.parent.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set REFT_SHARED")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a GPT-2 of some ten thousand weights and a tokenizer for the signed-sum task."""
    from reft.config import ModelConfig
    from reft.model import make_fresh
    from reft.tasks.signed_sum import SignedSum
    from reft.tokenizer import word_tokenizer

    folder = tmp_path_factory.mktemp("model") / "tiny"
    make_fresh(ModelConfig(layers=2, width=16, heads=2, context=80), word_tokenizer(SignedSum().words(), 80), 0, folder)
    return folder
