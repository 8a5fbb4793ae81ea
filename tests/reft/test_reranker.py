"""The classifier of chains: what it learns from, what it looks at, that it learns, the same each time."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from reft.config import ModelConfig, RerankConfig
from reft.errors import ConfigError
from reft.model import make_fresh
from reft.reranker import RerankerTrainer, collate, new_classifier, padding, score
from reft.reranking import RerankerSettings, Reranking, Sequences, distinct, join
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer
from rewards.equal import Verdict
from rollout.types import Sample
from tests.reft.test_batch import sample
from tests.reft.test_selection import drawn

ROWS = [[5, 6, 7, 1], [5, 6, 1], [8, 9, 10, 11, 12, 1], [7, 1], [9, 5, 5, 1]]
END = 1


def arrays(rows: list[list[int]]) -> list[numpy.ndarray]:
    return [numpy.array(row, dtype=numpy.int32) for row in rows]


def test_chains_end_with_the_end_token_and_keep_their_length() -> None:
    whole, cut = sample([5, 6], [7, 8, END]), sample([5], [7, 8, 9], finish="length")
    other = sample([5], [7, 3])  # ended by another stop token
    joined = join([whole, cut, other], END)
    assert [row.tolist() for row in joined.rows()] == [[5, 6, 7, 8, END], [5, 7, 8, END], [5, 7, END]]
    assert joined.tokens.dtype == numpy.int32


def test_each_text_of_a_problem_is_learnt_from_once_and_what_nobody_knows_never() -> None:
    samples = [
        drawn("p", "a"), drawn("p", "b", "different"), drawn("p", "a"), drawn("q", "a", "no_answer"),
        drawn("q", "c", "undecided"), drawn("p", "c"),
    ]  # fmt: skip
    assert [(kept.problem.id, kept.completion.text) for kept in distinct(samples)] == [
        ("p", "a"), ("p", "b"), ("q", "a"), ("p", "c"),
    ]  # fmt: skip
    assert distinct(samples)[0] is samples[0]


def test_padding_is_never_the_end_token(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    assert (padding(tokenizer), tokenizer.eos_token_id) == (0, 1)
    for pad, end, expected in ((1, 1, 0), (None, 1, 0), (None, 0, 1), (0, 0, 1), (7, 0, 7)):
        assert padding(SimpleNamespace(pad_token_id=pad, eos_token_id=end)) == expected


def test_batches_by_hand() -> None:
    batch = collate(
        [{"input_ids": row, "labels": label} for row, label in zip(arrays([[5, 1], [5, 6, 1]]), (0, 1), strict=True)], 0
    )
    assert batch["input_ids"].tolist() == [[5, 1, 0], [5, 6, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["labels"].tolist() == [0, 1]
    assert "labels" not in collate([{"input_ids": arrays([[5, 1]])[0]}], 0)


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerBase:
    return word_tokenizer(SignedSum().words(), 80)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen3", "gpt_neox", "opt"])
@pytest.mark.parametrize("same", [False, True], ids=["a token of its own", "the end token"])
def test_the_last_token_is_what_is_pooled(
    words: PreTrainedTokenizerBase, tmp_path: Path, architecture: str, same: bool
) -> None:
    """Whatever the tokenizer pads with, by the hidden states of one sequence at a time and the head's own weights."""
    make_fresh(ModelConfig(architecture=architecture, layers=1, width=16, heads=2, context=80), words, 0, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    if same:
        tokenizer.pad_token = tokenizer.eos_token
    model = new_classifier(str(tmp_path), padding(tokenizer), seed=0).eval()
    with torch.no_grad():
        model.score.weight.normal_(std=0.2, generator=torch.Generator().manual_seed(0))
        states = [model.base_model(torch.tensor(row)[None]).last_hidden_state[0, -1] for row in ROWS]
        expected = torch.stack([model.score(state).softmax(-1)[1] for state in states])
    assert expected.std() > 1e-3
    assert score(model, arrays(ROWS), batch=3) == pytest.approx(expected.double().numpy(), abs=1e-5)


def test_scores_come_in_the_order_of_the_chains_and_are_counted(tiny_model: Path) -> None:
    model = new_classifier(str(tiny_model), 0, seed=0).eval()
    done: list[int] = []
    many = score(model, arrays(ROWS), 2, done.append)
    assert done == [2, 4, 5]
    alone = [score(model, arrays([row]), 1)[0] for row in ROWS]
    assert many == pytest.approx(alone, abs=1e-6)
    assert ((many > 0) & (many < 1)).all()


def test_near_certainty_still_tells_chains_apart(tiny_model: Path) -> None:
    class Sure(torch.nn.Module):
        config = new_classifier(str(tiny_model), 0, seed=0).config
        device = torch.device("cpu")

        def forward(self, input_ids: torch.Tensor, **_: object) -> SimpleNamespace:
            return SimpleNamespace(logits=torch.stack([torch.zeros(len(input_ids)), input_ids[:, 0].float()], dim=1))

    scores = score(Sure(), arrays([[20, 1], [22, 1], [21, 1]]), 3)
    assert scores[1] > scores[2] > scores[0]


def separable(count: int) -> tuple[list[list[int]], list[int]]:
    """Chains that are right if they begin with 7; what stands behind says nothing."""
    generator = numpy.random.default_rng(0)
    labels = [number % 2 for number in range(count)]
    tails = [generator.integers(5, 12, size=generator.integers(1, 8)).tolist() for _ in labels]
    return [[7 if label else 8, *tail, END] for label, tail in zip(labels, tails, strict=True)], labels


def settings(model: Path, folder: Path, config: RerankConfig, rows: list[list[int]], labels: list[int]) -> RerankerSettings:
    sequences = Sequences(numpy.concatenate(arrays(rows)), numpy.array([len(row) for row in rows]))
    return RerankerSettings(
        source=str(model), target=str(folder), scratch=str(folder), config=config, ranks=1, threads=1, gpu=False,
        bfloat16=False, seed=3, sequences=sequences, labels=numpy.array(labels),
    )  # fmt: skip


def test_it_learns_what_tells_right_from_wrong_and_the_same_each_time(tiny_model: Path, tmp_path: Path) -> None:
    rows, labels = separable(192)
    config = RerankConfig(epochs=6, lr=1e-2, batch_size=16, micro_batch=8)
    found = []
    for name in ("one", "two"):
        trainer = RerankerTrainer(0, 1, settings(tiny_model, tmp_path / name, config, rows[:128], labels[:128]))
        torch.manual_seed(len(name) + len(found))  # nothing depends on what the process did before
        trainer.run()
        done, records = trainer.progress()
        assert done == trainer.schedule.steps == 48
        assert records[-1]["loss"] < 0.1 < records[0]["loss"]
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / name).eval()
        found.append(score(model, arrays(rows), 16))
    assert (found[0] == found[1]).all()
    right = (found[0] > 0.5) == numpy.array(labels, dtype=bool)
    assert right[128:].mean() > 0.95, "chains that it has not seen"
    assert model.config.id2label == {0: "not right", 1: "right"}
    assert model.config.use_cache
    loaded = AutoTokenizer.from_pretrained(tmp_path / "one")
    assert (loaded.pad_token_id, loaded.padding_side) == (model.config.pad_token_id, "right")


def test_nothing_is_dropped_out(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "dropping")
    config = tmp_path / "dropping" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5}))
    model = new_classifier(str(tmp_path / "dropping"), 0, seed=0).train()
    tokens = torch.tensor([[5, 6, 7, END]])
    assert (model(tokens).logits == model(tokens).logits).all()


def test_an_architecture_without_a_classifier_is_one_line(words: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    extra = {"layer_types": ["conv", "full_attention"]}
    make_fresh(ModelConfig(architecture="lfm2", layers=2, width=16, heads=2, context=80, extra=extra), words, 0, tmp_path)
    with pytest.raises(
        ConfigError, match=r"is a lfm2, for which transformers has no classifier of sequences; .*--rerank"
    ) as told:
        Reranking(SimpleNamespace(config=None), tmp_path, SimpleNamespace())  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("outcome", "share"), [("equal", "1.000"), ("different", "0.000"), ("undecided", "0.000")])
def test_chains_that_are_all_right_or_all_wrong_teach_nothing(
    monkeypatch: pytest.MonkeyPatch, outcome: str, share: str
) -> None:
    from reft import reranking
    from reft.errors import RunError
    from reft.progress import Display

    class Told:
        def publish(self, publication: object, version: int) -> None:
            assert publication == "weights of warm"

        def sample(self, problems: list, n: int, *_: object) -> list[Sample]:
            assert (len(problems), n) == (2, 3)
            verdict = Verdict(outcome, "text", "")  # type: ignore[arg-type]
            return [replace(drawn(problem, str(number)), verdict=verdict) for problem in problems for number in range(n)]

    monkeypatch.setattr(reranking, "publication", lambda config, model: f"weights of {model}")
    made = Reranking.__new__(Reranking)
    made.folder, made.warmup, made.display = Path("nowhere"), Path("warm"), Display()
    made.prepared = SimpleNamespace(splits=SimpleNamespace(train=["p", "q", "r"]))  # type: ignore[assignment]
    made.config = SimpleNamespace(  # type: ignore[assignment]
        rerank=RerankConfig(samples_per_prompt=3, prompts=2),
        seed=0,
        sampling=SimpleNamespace(temperature=1.0, max_tokens=5, stop=[]),
    )
    with pytest.raises(RunError, match=rf"{share} of {0 if outcome == 'undecided' else 6} different chains .* nothing to tell"):
        made.sample(Told())  # type: ignore[arg-type]
