"""What each method of a comparison is: validated settings, for as many chains as the budget has."""

from dataclasses import replace

import pytest

from reft.comparison import MethodFailure, check_methods
from reft.compose import Composed, compose, compose_settings
from reft.errors import ConfigError, UserError
from reft.methods import METHODS, Inputs

INPUTS = Inputs(problems=1985, demonstrations=16_000)


def made(method: str, chains: int, config: str = "quickstart", *overrides: str) -> Composed:
    composed = compose(config, overrides)
    inputs = replace(INPUTS, written=composed.written)
    return compose_settings(method, METHODS[method](composed.settings, chains, inputs))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chains", [12_800, 3_072])
def test_every_method_samples_what_it_may(method: str, chains: int) -> None:
    config = made(method, chains, "quickstart", f"train.steps={chains // 256}").config
    rounds = config.self_training
    if rounds.rounds:
        assert config.train.steps == 0
        problems = rounds.prompts or 0
        assert problems <= INPUTS.problems or not rounds.samples_per_prompt, "no problem twice in a round"
        sampled = rounds.rounds * problems * rounds.samples_per_prompt
    else:
        sampled = config.train.steps * config.train.prompts
    if method == "sft":
        assert sampled == 0
        assert rounds.epochs * INPUTS.demonstrations == pytest.approx(chains)
        assert rounds.start == "warmup"
    else:
        assert 0.98 * chains - 256 <= sampled <= chains


def test_imitation_is_the_warm_ups() -> None:
    config = made("star", 12_800).config
    assert (config.self_training.lr, config.self_training.epochs) == (config.warmup.lr, config.warmup.epochs)
    assert config.self_training.batch_size == config.warmup.batch_size


def test_imitation_may_have_settings_of_its_own() -> None:
    own = ["self_training.lr=3e-4", "self_training.epochs=7", "self_training.betas=[0.8,0.9]"]
    rounds = made("star", 12_800, "quickstart", *own).config.self_training
    assert (rounds.lr, rounds.epochs, list(rounds.betas)) == (3e-4, 7, [0.8, 0.9])
    assert rounds.batch_size == compose("quickstart").config.warmup.batch_size
    assert made("sft", 3_200, "quickstart", *own).config.self_training.epochs == 0.2, "a budget's"
    default = made("star", 12_800, "quickstart", "self_training.epochs=2", "warmup.epochs=4").config.self_training
    assert default.epochs == 2, "though it is the default, it was written"


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("sft", {"rounds": 1, "samples_per_prompt": 0, "demonstrations": True, "start": "warmup"}),
        ("star", {"rounds": 3, "prompts": 300, "samples_per_prompt": 1, "distinct": "none", "cap": None, "patience": None}),
        ("rft", {"rounds": 1, "prompts": 225, "samples_per_prompt": 4, "distinct": "equations", "cap": None, "start": "base"}),
        ("rest-em", {"rounds": 3, "prompts": 75, "samples_per_prompt": 4, "distinct": "none", "cap": 10, "patience": 0}),
        ("offline-st", {"rounds": 1, "prompts": 225, "samples_per_prompt": 4, "distinct": "text", "cap": 10, "start": "base"}),
    ],
)
def test_what_the_methods_are(method: str, settings: dict[str, object]) -> None:
    rounds = made(method, 900).config.self_training
    assert {name: getattr(rounds, name) for name in settings} == settings
    assert rounds.demonstrations == (method in ("sft", "rft", "offline-st"))
    assert (rounds.rationalize, rounds.growth, rounds.temperature, rounds.least_distance) == (0, 1, None, 0.2)


@pytest.mark.parametrize("method", ["star", "rft", "rest-em", "offline-st", "online-st"])
@pytest.mark.parametrize("chains", [3, 400])
def test_a_small_budget_is_not_exceeded(method: str, chains: int) -> None:
    config = made(method, chains).config
    rounds = config.self_training
    sampled = rounds.rounds * (rounds.prompts or 0) * rounds.samples_per_prompt
    if method == "online-st":
        assert config.train.steps == 1, "a step is the least that it can do"
    else:
        assert 0 < sampled <= chains


def test_fresh_weights_are_nothing_to_go_back_to() -> None:
    assert made("star", 900).config.self_training.start == "warmup"
    assert made("star", 900, "quickstart", "model.path=some/model").config.self_training.start == "base"
    assert made("rft", 900).config.self_training.start == "base"


def test_what_belongs_to_the_loop_is_no_part_of_rounds() -> None:
    """Nor do settings of the config's own rounds change the method."""
    settings = ["curriculum.stages=3", "self_training.patience=0", "self_training.cap=2", "self_training.temperature=0.5"]
    check_methods(compose("quickstart", settings), list(METHODS), "samples")
    for method in ("sft", "star", "rft"):
        config = made(method, 900, "quickstart", *settings).config
        assert config.curriculum.stages == 0
        rounds = config.self_training
        assert (rounds.temperature, rounds.patience, rounds.cap) == (None, None, None)
    assert made("reft", 900, "quickstart", *settings).config.curriculum.stages == 3


def test_online_self_training_takes_the_loop_of_the_config() -> None:
    config = made("online-st", 5_120).config
    assert type(config.algorithm).__name__ == "OnlineST"
    assert config.train.steps == 20


@pytest.mark.parametrize("method", METHODS)
def test_the_least_budget_is_one_chain_a_round(method: str) -> None:
    rounds = made(method, 1).config.self_training
    assert (rounds.prompts or 1) * max(rounds.samples_per_prompt, 1) == 1


@pytest.mark.parametrize(
    ("overrides", "methods", "budget", "told"),
    [
        ([], ["sft", "magic"], "samples", "'magic' is unknown; choose from sft, star"),
        ([], ["sft", "sft"], "samples", "name each once"),
        ([], [""], "samples", "'' is unknown"),
        (["train.steps=0"], ["sft"], "samples", "no budget to compare by"),
        ([], ["sft"], "flops", "name reft among the methods"),
        (["train.rounds=2"], ["sft"], "samples", "train.rounds=2 samples more than was planned"),
        (["warmup.epochs=0"], ["sft"], "samples", "no warm-up to start all methods from"),
    ],
)
def test_what_cannot_be_compared(overrides: list[str], methods: list[str], budget: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_methods(compose("quickstart", overrides), methods, budget)  # type: ignore[arg-type]


def test_a_failure_that_ends_a_comparison_is_told_in_a_line() -> None:
    """As when reft fails, which says how much the others may spend."""
    assert issubclass(MethodFailure, UserError)
