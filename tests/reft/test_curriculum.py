"""Beginnings of demonstrations: where chains are cut, and which problems and prefixes a step has."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, trainers
from transformers import PreTrainedTokenizerFast

from reft.compose import Composed, compose
from reft.config import CurriculumConfig
from reft.curriculum import Curriculum, _fit, beginning, find_cuttable
from reft.errors import ConfigError, DataError
from reft.prepare import prepare
from reft.tasks import Demonstration
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer
from reft.train import Stream
from rollout.codec import Codec
from rollout.types import Problem

PROBLEMS = [Problem(str(number), f"{number} ?", "x") for number in range(40)]
CHAINS = {str(number): [f"{number} a b c d", f"{number} e f g h"] for number in range(10)}
SETTINGS = """
task: {use: signed_sum, demonstrations_size: 640}
model: {layers: 1, width: 32, heads: 2, context: 80}
sampling: {max_tokens: 30}
curriculum: {stages: 3}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Composed]:
    """The settings above with overrides."""
    (tmp_path / "mine.yaml").write_text(SETTINGS)
    return lambda *overrides: compose(str(tmp_path / "mine.yaml"), overrides)


# Where chains are cut.


def test_lines_are_steps_where_there_are_several() -> None:
    chain = "    x = 1\n    y = x + 1\n\n    z = y\n    return z"
    assert [beginning(chain, stage, 3) for stage in (1, 2, 3)] == [
        "    x = 1\n",
        "    x = 1\n    y = x + 1\n\n",
        "    x = 1\n    y = x + 1\n\n    z = y\n",
    ]


@pytest.mark.parametrize("chain", ["one two  three four five six", "a\nb c d", "alone", "", "tail \n", "a\n\n\nb\nc d\n"])
@pytest.mark.parametrize("stages", [1, 2, 3, 7])
def test_a_beginning_is_one_and_never_the_whole(chain: str, stages: int) -> None:
    cuts = [beginning(chain, stage, stages) for stage in range(1, stages + 1)]
    assert all(chain.startswith(cut) for cut in cuts)
    assert [len(cut) for cut in cuts] == sorted(len(cut) for cut in cuts)
    assert all(chain[len(cut) :].strip() for cut in cuts if cut)
    if "\n" not in chain:
        words = len(chain.split())
        least = 1 if words > 1 else 0  # what has two steps or more always starts ahead
        assert [len(cut.split()) for cut in cuts] == [max(least, words * at // (stages + 1)) for at in range(1, stages + 1)]


def test_a_beginning_is_the_first_tokens_of_the_demonstration() -> None:
    from reft.tokenizer import bpe_tokenizer

    for chain in ("He has 5 pens.\nShe has 2 + 5 = 7 pens.\nTherefore, the answer is: 7", "b - 3 2 c + 4 6 x b + 3 8 ok"):
        codec = Codec(bpe_tokenizer([chain] * 50, 330, 64))
        (tokens,) = codec.chains([chain])
        for prefix in codec.prefixes([beginning(chain, stage, 5) for stage in range(1, 6)]):
            assert prefix.tolist() == tokens[: len(prefix)].tolist()


def test_two_lines_are_steps() -> None:
    assert beginning("a b c d e f\ng h", 1, 1) == "a b c d e f\n", "not half of the words"


# Which problems and prefixes a step has.


def curriculum(share: float | None = None, seed: int = 7, size: int = 8) -> Curriculum:
    return Curriculum(PROBLEMS, CHAINS, size, CurriculumConfig(3, share), seed)


def test_a_step_is_a_function_of_its_number() -> None:
    """Asked in any order, as a run that is taken up again does."""
    forwards, backwards = curriculum(), curriculum()
    steps = [forwards.batch(step) for step in range(20)]
    assert steps[::-1] == [backwards.batch(step) for step in reversed(range(20))]
    assert steps != [curriculum(seed=8).batch(step) for step in range(20)]
    prefixes = [{problem.id: problem.prefix for problem in curriculum(seed=seed, size=10).batch(0)} for seed in (7, 8)]
    assert prefixes[0] != prefixes[1], "another run draws other starts for the same problems"
    by_problem: dict[str, set[str]] = {}
    for problem in (problem for step in steps for problem in step):
        by_problem.setdefault(problem.id, set()).add(problem.prefix)
    assert min(map(len, by_problem.values())) > 3, "another step draws another start for the same problem"


def test_the_problems_are_those_of_a_stream_that_have_a_demonstration() -> None:
    plain = Stream(PROBLEMS[:10], 8, 7)
    for step in range(5):
        for attempt in (0, 1):
            batch = curriculum().batch(step, attempt)
            assert [replace(problem, prefix="") for problem in batch] == plain.batch(step, attempt)


def test_all_starts_are_mixed_alike() -> None:
    lengths = Counter(len(problem.prefix.split()) for step in range(500) for problem in curriculum().batch(step))
    assert sorted(lengths) == [0, 1, 2, 3], "five words in four parts, and never all five"
    assert all(abs(count / 4000 - 0.25) < 0.03 for count in lengths.values())
    both = Counter(problem.prefix for step in range(500) for problem in curriculum().batch(step) if problem.id == "3")
    assert {"3 a b", "3 e f", "3 a", "3 e"} <= both.keys(), "each of a problem's demonstrations is used"


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_that_starts_ahead(share: float) -> None:
    given = [bool(problem.prefix) for step in range(300) for problem in curriculum(share).batch(step)]
    assert sum(given) / len(given) == pytest.approx(share, abs=0.03)


def test_chains_of_a_problem_share_their_prefix_in_a_step() -> None:
    """Also where a step spans two passes over the problems, which asks one of them twice."""
    batch = curriculum(size=15).batch(3)
    assert len({problem.id for problem in batch}) < 15
    assert len({(problem.id, problem.prefix) for problem in batch}) == len({problem.id for problem in batch})


# Which demonstrations may be cut.


def test_only_right_demonstrations_are_cut(settings: Callable[..., Composed]) -> None:
    config = settings().config
    problem = config.task.splits().train[0]
    demonstrations = config.task.demonstrations([problem], 0)[:600]
    codec = Codec(word_tokenizer(SignedSum().words(), 80))
    found = find_cuttable(config, demonstrations, codec)
    right = [shown.chain for shown in demonstrations if shown.chain.endswith("ok") and len(shown.chain.split()) < 30]
    assert 0 < len(right) < 600
    assert found.chains == {problem.id: right}
    assert (found.count, found.looked_at) == (len(right), 600)


def test_a_demonstration_that_is_too_long_is_not_cut(settings: Callable[..., Composed]) -> None:
    """The end token belongs to a chain, so one of `max_tokens` words is a token too long."""
    config = settings().config
    chain = "b - 3 2 c + 4 6 x b + 3 8 c - 4 4 ok"
    problem = Problem("p", "a 5 b 3 c 4 > 4 ?", "4", {"digits": (5, 3, 4)})
    codec = Codec(word_tokenizer(SignedSum().words(), 80))
    for longest, fits in ((len(chain.split()), False), (len(chain.split()) + 1, True)):
        limited = replace(config, sampling=replace(config.sampling, max_tokens=longest))
        if fits:
            assert find_cuttable(limited, [Demonstration(problem, chain)], codec).count == 1
        else:
            with pytest.raises(DataError, match=r"none of 1 demonstrations is right and ends within sampling.max_tokens=18"):
                find_cuttable(limited, [Demonstration(problem, chain)], codec)


def test_a_run_is_prepared_with_them_also_without_a_warm_up(settings: Callable[..., Composed]) -> None:
    prepared = prepare(settings("warmup.epochs=0"))
    assert prepared.cuttable is not None
    assert 0 < prepared.cuttable.count < prepared.cuttable.looked_at == 640
    train = {problem.id for problem in prepared.splits.train}
    assert prepared.cuttable.chains.keys() < train
    assert prepare(settings("curriculum.stages=0")).cuttable is None


def test_a_problem_that_is_too_long_is_in_no_curriculum(tmp_path: Path) -> None:
    records = [
        {
            "question": f"{left} + {right}" + " and so on," * (left == 9) * 90,
            "answer_cot": "I add.",
            "answer_value": f"{left + right}",
        }
        for left in range(10)
        for right in range(10)
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "mine.yaml").write_text(
        f"task: {{use: jsonl, train: {tmp_path / 'train.jsonl'}}}\nmodel: {{context: 160, vocabulary: 300}}\n"
        "sampling: {max_tokens: 90}\ncurriculum: {stages: 1}\n"
    )
    prepared = prepare(compose(str(tmp_path / "mine.yaml")))
    assert prepared.too_long > 0
    assert prepared.cuttable is not None
    assert prepared.cuttable.chains.keys() == {problem.id for problem in prepared.splits.train}


def test_none_right_is_a_line(settings: Callable[..., Composed]) -> None:
    with pytest.raises(
        DataError, match=r"none of 640 demonstrations is right.*; mend them, or set curriculum.stages=0"
    ) as caught:
        prepare(settings("task.operands=7", "model.context=300", "sampling.max_tokens=25"))
    assert "\n" not in str(caught.value)


def test_a_beginning_that_takes_more_tokens_than_the_chain_is_none() -> None:
    """A tokenizer that knows the whole chain as one token, and each of its beginnings as many."""
    chain = "b + 3 8 c - 4 4 ok"
    whole = Tokenizer(models.BPE())
    whole.train_from_iterator([chain] * 9, trainers.BpeTrainer(special_tokens=["<end>"], show_progress=False))
    codec = Codec(PreTrainedTokenizerFast(tokenizer_object=whole, eos_token="<end>"))
    assert len(codec.chains([chain])[0]) == 2
    longest = len(codec.prefixes([beginning(chain, 2, 2)])[0])
    assert longest > 2
    assert [_fit([chain], 2, most, codec) for most in (1, 2, longest, longest + 1)] == [[False], [False], [False], [True]]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("curriculum.stages=-1", "curriculum.stages=-1 is out of range; choose 0 or more"),
        ("curriculum.share=1.5", "curriculum.share=1.5 is out of range; choose 1 or less"),
        ("curriculum.share=-0.1", "curriculum.share=-0.1 is out of range; choose 0 or more"),
        ("curriculum.stage=2", "curriculum.stage: .*Did you mean one of: 'stages'"),
        ("self_training.rounds=2 train.steps=0", "curriculum.stages=3 is for reinforcement"),
    ],
)
def test_wrong_settings(settings: Callable[..., Composed], override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        settings(*override.split())
