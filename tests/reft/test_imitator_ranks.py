"""Imitation on ranks, whatever they divide among them, is imitation in one process."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from reft.config import ModelConfig, WarmupConfig
from reft.imitator import Imitator
from reft.model import make_fresh
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer
from reft.warmup import tokenize
from rollout.codec import Codec
from tests.processes import run_processes
from tests.reft.imitators import demonstrations, settings_of

CONFIG = WarmupConfig(epochs=3, schedule_epochs=4, batch_size=8, micro_batch=2, lr=3e-3, grad_clip=0.5)
STEPS = 24
"""Of three passes over 64 demonstrations."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without biases of keys, whose gradients are nothing but rounding, which Adam makes much of."""
    folder = tmp_path_factory.mktemp("model")
    make_fresh(
        ModelConfig(architecture="llama", layers=2, width=32, heads=2, context=80),
        word_tokenizer(SignedSum().words(), 80),
        0,
        folder,
    )
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder / "target").state_dict()


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Metrics and weights of one process, which torch alone steps."""
    folder = tmp_path_factory.mktemp("alone")
    corpus, _ = tokenize(demonstrations(64), Codec(AutoTokenizer.from_pretrained(model)), longest=80)
    imitator = Imitator(0, 1, settings_of(model, corpus, folder, CONFIG))
    imitator.run()
    done, records = imitator.progress()
    assert done == STEPS
    return records, weights(folder)


@pytest.mark.parametrize(("world", "zero"), [(2, 0), (1, 2), (2, 1), (2, 2), (2, 3)])
def test_ranks_equal_one_process(alone, model: Path, tmp_path: Path, world: int, zero: int) -> None:
    """Stopped half way, too, and taken up from what the ranks have saved."""
    records, expected = alone
    run_processes("tests.reft.imitator_process", world, [str(model), str(tmp_path), str(world), str(zero)])
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert set(seen["listening"]) == {"127.0.0.1"}, "where the ranks meet, whoever comes is answered"
    assert seen["stages"] == ([zero] * 2 if zero else []), "DeepSpeed is at work, in both halves"
    last, theirs = seen["records"][1][-1], records[-1]
    before = [record for record in seen["records"][0] if record["step"] <= 8]
    assert seen["records"][1][: len(before)] == before != records[: len(before)], (
        "what the first half has saved is not done again"
    )
    assert last["step"] == theirs["step"] == STEPS
    assert last["warmup/grad_norm"] == pytest.approx(theirs["warmup/grad_norm"], rel=1e-3), "of the last step"
    found = weights(tmp_path)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensor.dtype == found[name].dtype
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
