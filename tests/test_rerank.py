"""Voting and reranking as commands, small: what they report and leave, that a classifier is trained once, what is refused."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from reft.cli import main
from reft.compose import Composed, compose
from reft.errors import RunError
from reft.files import seal_folder
from reft.imitator import Imitator
from reft.prepare import materialise, prepare
from reft.progress import Display
from reft.reranking import Reranking
from reft.run import RunDirectory
from reft.warmup import ImitatorSettings, arrange, tokenize
from tests.test_end_to_end import run
from tests.test_readme import glossary
from tests.test_self_training import STAR

SETTINGS = ["rollout.workers=1", "evaluate.limit=20", "rerank.samples_per_prompt=6", "rerank.prompts=40", "rerank.lr=1e-3"]


def evaluate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "eval", "tiny/checkpoints/warmup", *SETTINGS, *words)


def warm_up(directory: Path, composed: Composed) -> None:
    """What `reft warmup` leaves, made in this process."""
    prepared, config = prepare(composed), composed.config
    corpus, _ = tokenize(prepared.demonstrations, prepared.codec, prepared.context)
    with RunDirectory(directory, composed) as run:
        settings = ImitatorSettings(
            source=str(run.write_checkpoint("fresh", partial(materialise, prepared))), target=str(run.checkpoint("warmup")),
            scratch=str(directory.parent / "scratch"), corpus=corpus, config=config.warmup, ranks=1, threads=1, gpu=False,
            zero=0, rows=arrange(corpus.lengths.tolist(), config.warmup, prepared.context), bfloat16=False, seed=0,
        )  # fmt: skip
        Imitator(0, 1, settings).run()
        seal_folder(Path(settings.target))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has warmed up, evaluated by votes and by a reranker."""
    folder = tmp_path_factory.mktemp("rerank")
    (folder / "star.yaml").write_text(STAR)
    warm_up(folder / "tiny", compose(str(folder / "star.yaml")))
    done = evaluate(folder, "--vote", "4", "--rerank")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "out").write_text(done.stdout)
    return folder


def report(folder: Path) -> dict:
    return json.loads((folder / "tiny" / "eval" / "warmup-test-vote4-rerank.json").read_text())


def test_what_is_reported(folder: Path) -> None:
    content, table = report(folder), (folder / "out").read_text()
    search = content["search"]
    for name in ("vote", "rerank", "upper_bound"):
        assert search[name]["n"] == 20
        assert 0 <= search[name]["low"] <= search[name]["value"] <= search[name]["high"] <= 1
    assert max(search["vote"]["value"], search["rerank"]["value"]) <= search["upper_bound"]["value"]
    assert search["upper_bound"]["value"] > 0, "a model that is never right would show nothing"
    assert (search["chains"], search["temperature"], search["max_tokens"]) == (4, 1.0, 6)
    assert content["greedy"].keys() == content["sampled"].keys()
    for label, name in {"vote@4": "vote", "rerank@4": "rerank", "pass@4, upper bound": "upper_bound"}.items():
        (line,) = [line for line in table.splitlines() if label in line]
        estimate = search[name]
        assert f"–│{estimate['value']:.3f}[{estimate['low']:.3f},{estimate['high']:.3f}]" in line.replace(" ", "")
    assert search.keys() | search["reranker"].keys() <= glossary()


def test_what_the_classifier_is(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    record = report(folder)["search"]["reranker"]
    assert 2 <= record["problems"] <= 40
    assert record["problems"] < record["chains"] <= 240
    assert 0 < record["right"] < 1
    assert record["steps"] == 3 * -(-record["chains"] // 24)
    settings = record["settings"]
    assert (settings["checkpoint"], settings["rerank.samples_per_prompt"], settings["rerank.lr"]) == ("warmup", 6, 1e-3)
    assert "evaluate.limit" not in settings
    place = Path(record["folder"])
    assert place.parent == folder / "tiny" / "rerankers"
    assert [path.name for path in place.parent.iterdir()] == [place.name], "nothing is left beside it"
    assert AutoModelForSequenceClassification.from_pretrained(place).config.num_labels == 2


def test_the_same_settings_train_once(folder: Path) -> None:
    before, place = report(folder), Path(report(folder)["search"]["reranker"]["folder"])
    written = (place / "model.safetensors").stat().st_mtime_ns
    again = evaluate(folder, "--vote", "4", "--rerank")
    assert again.returncode == 0, again.stderr[-3000:]
    assert "is there already" in again.stderr
    assert "rerank: train" not in again.stderr
    assert report(folder) == before
    assert (place / "model.safetensors").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("setting", "trained"),
    [
        ("evaluate.samples=3", True),
        ("rollout.workers=2", True),
        ("rerank.epochs=1", False),
        ("sampling.temperature=0.5", False),
        ("checker.tolerance=0.1", False),
        ("seed=1", False),
    ],
)
def test_other_settings_train_anew(folder: Path, setting: str, trained: bool) -> None:
    assert reranking(folder / "tiny" / "checkpoints" / "warmup", setting).is_trained() == trained


def reranking(checkpoint: Path, setting: str) -> Reranking:
    composed = compose(str(checkpoint.parent.parent / "config.yaml"), [*SETTINGS, setting])
    return Reranking(prepare(composed), checkpoint, Display())


def test_without_the_warm_up_there_is_nothing_to_learn_from(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "tiny", tmp_path / "tiny")
    checkpoints = tmp_path / "tiny" / "checkpoints"
    (checkpoints / "warmup").rename(checkpoints / "step_000001")
    with pytest.raises(RunError, match=r"warmup is not there, and from its chains a reranker learns; .*without --rerank"):
        reranking(checkpoints / "step_000001", "seed=0")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rerank"], "--rerank picks one of the chains of --vote; add --vote K"),
        (["--vote", "0"], "--vote 0 is out of range"),
        (["rerank.epochs=0", "--vote", "2", "--rerank"], "rerank.epochs=0.0 is out of range"),
        (["rerank.samples_per_prompt=0", "--vote", "2", "--rerank"], "rerank.samples_per_prompt=0 is out of range"),
        (["rerank.warmup_share=2", "--vote", "2", "--rerank"], "rerank.warmup_share=2.0 is out of range"),
    ],
)
def test_wrong_words(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert main(["eval", str(folder / "tiny" / "checkpoints" / "warmup"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
