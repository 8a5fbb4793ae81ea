"""Imitation: what is learnt, from which tokens, for how many steps."""

import json
import shutil
from pathlib import Path

import numpy
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from reft.config import ModelConfig, WarmupConfig
from reft.errors import RunError
from reft.files import find_damage
from reft.imitator import Imitator
from reft.model import make_fresh
from reft.tasks import Demonstration
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer
from reft.trainer import alone_in
from reft.warmup import Corpus, arrange, row_length, schedule, tokenize
from rollout.codec import Codec
from rollout.types import Problem
from tests.reft.imitators import PAIRS, demonstrations, settings_of


def test_a_demonstration_is_prompt_and_chain_and_end(tiny_model: Path) -> None:
    codec = Codec(AutoTokenizer.from_pretrained(tiny_model))
    corpus, dropped = tokenize(demonstrations(2), codec, longest=100)
    assert dropped == 0
    assert corpus.prompt_lengths.tolist() == [9, 9]
    assert corpus.lengths.tolist() == [9 + 3 + 1, 9 + 6 + 1]
    first = corpus.tokens[:13]
    assert codec.text(first) == " ".join(PAIRS[0])
    assert first[-1] == codec.end
    shorter, dropped = tokenize(demonstrations(2), codec, longest=14)
    assert (len(shorter), dropped) == (1, 1)
    assert len(tokenize(demonstrations(2), codec, longest=3)[0]) == 0


@pytest.mark.parametrize(
    ("settings", "rows", "ranks", "expected"),
    [
        (WarmupConfig(epochs=2, batch_size=48, micro_batch=64), 100, 1, (48, 1, 6, 6)),
        (WarmupConfig(epochs=2, schedule_epochs=40, batch_size=48, micro_batch=64), 100, 1, (48, 1, 6, 120)),
        (WarmupConfig(epochs=0.5, batch_size=48, micro_batch=10), 480, 2, (8, 3, 5, 5)),
        (WarmupConfig(epochs=0.01, batch_size=64, micro_batch=64), 64, 1, (64, 1, 1, 1)),
    ],
)
def test_the_schedule(settings: WarmupConfig, rows: int, ranks: int, expected: tuple[int, ...]) -> None:
    shape = schedule(settings, rows, ranks)
    assert (shape.per_device, shape.accumulation, shape.steps, shape.horizon) == expected
    assert shape.per_device * shape.accumulation * ranks == settings.batch_size


@pytest.mark.parametrize(
    ("epochs", "rows", "passes"),
    [(30, 5, 30), (2, 100, 2), (1.5, 96, 1.5), (0.5, 144, 2 * 48 / 144), (1.67, 100, 1 + 2 * 48 / 100)],
)
def test_passes_over_the_rows(epochs: float, rows: int, passes: float) -> None:
    """A step of what an epoch has left, be it five rows for a batch of 48, goes over no more than these."""
    assert schedule(WarmupConfig(epochs=epochs, batch_size=48, micro_batch=48), rows, 1).passes == pytest.approx(passes)


def imitate(model: Path, corpus: Corpus, folder: Path, config: WarmupConfig) -> list[dict[str, float]]:
    imitator = Imitator(0, 1, settings_of(model, corpus, folder, config))
    imitator.run()
    done, records = imitator.progress()
    assert done == imitator.schedule.steps
    return records


def test_chains_and_their_end_are_learnt_and_prompts_are_not(tiny_model: Path, tmp_path: Path) -> None:
    codec = Codec(AutoTokenizer.from_pretrained(tiny_model))
    corpus, _ = tokenize(demonstrations(64), codec, longest=100)
    records = imitate(tiny_model, corpus, tmp_path, WarmupConfig(epochs=60, batch_size=32, lr=1e-2))
    assert records[-1]["warmup/loss"] < 0.05 < records[0]["warmup/loss"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "target").eval()
    start = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    for prompt, chain in PAIRS:
        (ids,) = codec.prompts([prompt])
        (wanted,) = codec.chains([chain])
        made = model.generate(torch.tensor(ids)[None].long(), max_new_tokens=12, do_sample=False, pad_token_id=codec.pad)[0]
        assert made[len(ids) :].tolist() == wanted.tolist(), "the chain, then the end"
        # Had prompts been learnt too, there being two of them, their tokens would be nearly certain by now.
        assert _mean_loss(model, ids) > 0.5 * _mean_loss(start, ids)


def _mean_loss(model: torch.nn.Module, ids: numpy.ndarray) -> float:
    tokens = torch.tensor(ids)[None].long()
    with torch.no_grad():
        return float(model(tokens, labels=tokens).loss)


def test_the_rate_is_laid_out_for_more_than_is_run(tiny_model: Path, tmp_path: Path) -> None:
    corpus, _ = tokenize(demonstrations(64), Codec(AutoTokenizer.from_pretrained(tiny_model)), longest=100)
    config = WarmupConfig(epochs=2, schedule_epochs=8, batch_size=8, lr=1e-3, warmup_share=0.0)
    records = imitate(tiny_model, corpus, tmp_path, config)
    assert records[-1]["step"] == 16
    assert records[-1]["warmup/lr"] == pytest.approx(1e-3 * (1 - 15 / 64), rel=0.02)


def test_the_rate_may_rise_over_so_many_steps(tiny_model: Path, tmp_path: Path) -> None:
    corpus, _ = tokenize(demonstrations(64), Codec(AutoTokenizer.from_pretrained(tiny_model)), longest=100)
    config = WarmupConfig(epochs=1, batch_size=8, lr=1e-3, schedule="constant", warmup_share=0.0, warmup_steps=100)
    assert imitate(tiny_model, corpus, tmp_path, config)[-1]["warmup/lr"] == pytest.approx(1e-3 * 7 / 100)


def test_a_warm_up_that_was_killed_goes_on_as_if_it_had_not_been(tiny_model: Path, tmp_path: Path) -> None:
    corpus, _ = tokenize(demonstrations(64), Codec(AutoTokenizer.from_pretrained(tiny_model)), longest=100)
    config = WarmupConfig(epochs=4, batch_size=8, lr=1e-3)
    straight = imitate(tiny_model, corpus, tmp_path / "straight", config)
    saved = tmp_path / "straight" / "scratch" / "checkpoint-24"
    assert json.loads((saved / "trainer_state.json").read_text())["global_step"] == 24
    assert find_damage(saved) is None
    scratch = tmp_path / "again" / "scratch"
    for name in ("checkpoint-24", "checkpoint-28"):
        shutil.copytree(saved, scratch / name)
    (scratch / "checkpoint-28" / "optimizer.pt").write_bytes(b"")  # damaged
    (scratch / "checkpoint-30").mkdir()
    (scratch / "checkpoint-30" / "trainer_state.json").write_text('{"global_step": 30}')  # of who was killed while saving
    began = [path.stat().st_mtime_ns for path in sorted((scratch / "checkpoint-24").iterdir())]
    again = imitate(tiny_model, corpus, tmp_path / "again", config)
    assert again == straight, "what was logged before the checkpoint is told again"
    weights = [(tmp_path / name / "target" / "model.safetensors").read_bytes() for name in ("straight", "again")]
    assert weights[0] == weights[1]
    assert [path.stat().st_mtime_ns for path in sorted((scratch / "checkpoint-24").iterdir())] == began, "it was not done again"
    assert not (scratch / "checkpoint-28").exists()
    assert not (scratch / "checkpoint-30").exists()


def test_each_save_begins_a_mean_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    """So that a training which goes on from there logs what it would have logged."""
    corpus, _ = tokenize(demonstrations(64), Codec(AutoTokenizer.from_pretrained(tiny_model)), longest=100)
    records = imitate(tiny_model, corpus, tmp_path, WarmupConfig(epochs=2.5, batch_size=8, lr=1e-3))
    assert [record["step"] for record in records] == [5, 8, 10, 15, 16, 20], "every fifth, and at the ends of epochs"


def test_a_training_waits_for_one_that_is_still_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reft.trainer.ORPHAN_SECONDS", 0.3)
    with alone_in(tmp_path, 0):
        with alone_in(tmp_path, 1):
            pass
        with pytest.raises(RunError, match="an earlier run still trains in"), alone_in(tmp_path, 0):
            pass
    with alone_in(tmp_path, 0):
        pass


def test_batches_of_about_the_same_length_hold_less_padding_and_every_demonstration(tiny_model: Path, tmp_path: Path) -> None:
    rows = [Demonstration(Problem(str(n), PAIRS[0][0], "", {}), " ".join(["+ a 1"] * (1 + n % 8))) for n in range(1024)]
    corpus, _ = tokenize(rows, Codec(AutoTokenizer.from_pretrained(tiny_model)), longest=100)

    def padding(group_by_length: bool) -> float:
        config = WarmupConfig(batch_size=8, group_by_length=group_by_length)
        settings = settings_of(tiny_model, corpus, tmp_path, config)
        batches = list(Imitator(0, 1, settings).trainer().get_train_dataloader())
        shown = torch.cat([batch["attention_mask"].flatten() for batch in batches])
        assert shown.sum() == len(corpus.tokens)
        return 1 - shown.float().mean().item()

    assert padding(True) < 0.05 < padding(False)


@pytest.mark.parametrize(
    ("lengths", "context", "rows"),
    [
        ([5, 3, 4, 2], 8, [[0, 1], [2, 3]]),
        ([4, 4, 4], 8, [[0, 1], [2]]),
        ([6, 5, 3, 2], 8, [[0, 3], [1, 2]]),  # 2 goes where it fits best, not first
        ([8, 1], 8, [[0], [1]]),
    ],
)
def test_chains_are_packed_by_best_fit(lengths: list[int], context: int, rows: list[list[int]]) -> None:
    assert arrange(lengths, WarmupConfig(packing=True), context) == rows
    assert arrange(lengths, WarmupConfig(), context) == [[number] for number in range(len(lengths))]


def test_a_packed_row_may_be_shorter_than_the_context() -> None:
    assert row_length(WarmupConfig(packing=True, pack_to=2048), 32768) == 2048
    assert row_length(WarmupConfig(packing=True, pack_to=2048), 1024) == 1024
    assert row_length(WarmupConfig(packing=True), 1024) == 1024
    assert row_length(WarmupConfig(pack_to=2048), 32768) == 32768, "one chain a row"


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_packed_chains_teach_what_they_teach_alone(architecture: str, tmp_path: Path) -> None:
    """Loss and gradients of a batch are the same whether its chains share rows or not."""
    model = fresh(architecture, tmp_path)
    rows = [Demonstration(Problem(str(n), PAIRS[0][0], "", {}), " ".join(["+ a 1"] * (1 + n % 4))) for n in range(12)]
    corpus, _ = tokenize(rows, Codec(AutoTokenizer.from_pretrained(model)), longest=80)
    found = {}
    for packing in (False, True):
        imitator = Imitator(0, 1, settings_of(model, corpus, tmp_path, WarmupConfig(batch_size=12, packing=packing)))
        trainer = imitator.trainer()
        (batch,) = trainer.get_train_dataloader()
        assert ("attention_mask" in batch) != packing
        assert batch["input_ids"].shape[0] == (12 if not packing else len(imitator.settings.rows))
        loss = trainer.compute_loss(trainer.model, batch)
        loss.backward()
        found[packing] = [loss.detach(), *(parameter.grad for parameter in trainer.model.parameters())]
    assert len(arrange(corpus.lengths.tolist(), WarmupConfig(packing=True), 80)) < 6
    for alone, packed in zip(found[False], found[True], strict=True):
        assert torch.allclose(alone, packed, atol=1e-6)


def test_packing_is_refused_where_chains_would_mix(tmp_path: Path) -> None:
    extra = {"layer_types": ["conv", "full_attention"], "intermediate_size": 32, "block_auto_adjust_ff_dim": False}
    model = fresh("lfm2", tmp_path, extra)
    corpus, _ = tokenize(demonstrations(4), Codec(AutoTokenizer.from_pretrained(model)), longest=80)
    settings = settings_of(model, corpus, tmp_path, WarmupConfig(packing=True))
    with pytest.raises(RunError, match="packing=true does not keep chains apart in a lfm2"):
        Imitator(0, 1, settings).trainer()


def fresh(architecture: str, folder: Path, extra: dict | None = None) -> Path:
    config = ModelConfig(architecture=architecture, layers=2, width=16, heads=2, context=80, extra=extra or {})
    make_fresh(config, word_tokenizer(SignedSum().words(), 80), 0, folder / "model")
    return folder / "model"
