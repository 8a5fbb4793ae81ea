"""The methods that a comparison holds side by side: each is a config's settings with a few of them changed, for so many chains.

    sft         the demonstrations, imitated further from the warm-up
    star        STaR (arXiv 2203.14465): three rounds of one chain a problem, the right ones imitated
    rft         RFT (arXiv 2308.01825): one round, the chains with different equations, and the demonstrations
    rest-em     ReST-EM (arXiv 2312.06585): three rounds of several chains a problem, 10 kept, until dev falls
    offline-st  ReFT's offline self-training (arXiv 2401.08967, section 4.2): one round, 10 kept, and the demonstrations
    online-st   its online self-training: the loop, imitating the right chains and the demonstrations of each step
    reft        the config's own reinforcement

Imitation has the warm-up's settings throughout, but for what the config's `self_training` says of lr, epochs and the like.
Nothing else of that section counts: rationalization or growing rounds would come on top of the budget.
Rounds begin at the model before the warm-up, as published, where that has been pretrained. Fresh weights know nothing, so there
STaR and ReST-EM begin at the warm-up; RFT and offline self-training, which see all demonstrations again, begin at the fresh
weights all the same.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from reft.config import ImitationConfig, SelfTrainingConfig

Settings = Mapping[str, Any]
Budget = Literal["samples", "flops", "minutes"]
"""What all methods have the same of."""

ROUNDS = 3
"""Of STaR and ReST-EM here."""
LEAST_SAMPLES = 4
"""Chains a problem where a method is about choosing among several."""


@dataclass(frozen=True)
class Inputs:
    """What the size of a method depends on."""

    problems: int
    """Of the training split."""
    demonstrations: int
    written: frozenset[str] = frozenset()
    """Dotted keys that the config's author wrote."""


Method = Callable[[Settings, int, Inputs], dict[str, Any]]
"""From a config's settings and a number of chains to the settings of a run that samples so many, or, where it samples none,
imitates so many."""


def _sft(settings: Settings, chains: int, inputs: Inputs) -> dict[str, Any]:
    rounds = {"rounds": 1, "samples_per_prompt": 0, "demonstrations": True, "start": "warmup"}
    return _rounds(settings, inputs, rounds | {"epochs": chains / inputs.demonstrations})


def _star(settings: Settings, chains: int, inputs: Inputs) -> dict[str, Any]:
    prompts = max(1, chains // ROUNDS)
    # More than a pass over the problems in a round would ask one twice.
    samples = math.ceil(prompts / inputs.problems)
    rounds = {"rounds": ROUNDS, "prompts": max(1, prompts // samples), "samples_per_prompt": samples, "distinct": "none"}
    return _rounds(settings, inputs, rounds | {"start": _base_or_warmup(settings)})


def _rft(settings: Settings, chains: int, inputs: Inputs) -> dict[str, Any]:
    return _rounds(settings, inputs, _one_round(chains, inputs) | {"distinct": "equations"})


def _rest_em(settings: Settings, chains: int, inputs: Inputs) -> dict[str, Any]:
    prompts, samples = _spread(chains // ROUNDS, inputs)
    rounds = {"rounds": ROUNDS, "prompts": prompts, "samples_per_prompt": samples, "cap": 10, "patience": 0}
    return _rounds(settings, inputs, rounds | {"distinct": "none", "start": _base_or_warmup(settings)})


def _offline_st(settings: Settings, chains: int, inputs: Inputs) -> dict[str, Any]:
    return _rounds(settings, inputs, _one_round(chains, inputs) | {"distinct": "text", "cap": 10})


def _online_st(settings: Settings, chains: int, inputs: Inputs) -> dict[str, Any]:
    train = settings["train"]
    steps = max(1, chains // (train["prompts"] * train["samples_per_prompt"]))
    no_critic = {
        "model": {**settings["model"], "critic": "shared"},
        "learner": {**settings["learner"], "critic_warmup": 0},
    }
    return {**settings, **no_critic, "train": {**train, "steps": steps}, "algorithm": {"use": "online_st"}}


def _reft(settings: Settings, chains: int, inputs: Inputs) -> dict[str, Any]:
    return dict(settings)


METHODS: Mapping[str, Method] = {
    "sft": _sft,
    "star": _star,
    "rft": _rft,
    "rest-em": _rest_em,
    "offline-st": _offline_st,
    "online-st": _online_st,
    "reft": _reft,
}


def _rounds(settings: Settings, inputs: Inputs, changed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run by rounds. Its imitation is the warm-up's, unless the config's author wrote other settings for
    rounds, or `changed`, what the method is, says otherwise."""
    defaults = asdict(SelfTrainingConfig())
    imitation = [item.name for item in fields(ImitationConfig)]
    shared = {name: settings["warmup"][name] for name in imitation}
    own = {name: settings["self_training"][name] for name in imitation if f"self_training.{name}" in inputs.written}
    rounds = {**defaults, **shared, "schedule_epochs": None, **own, **changed}
    # What belongs to the loop, or to rounds of the config's own, is no part of the method.
    curriculum = {**settings["curriculum"], "stages": 0}
    return {**settings, "train": {**settings["train"], "steps": 0}, "self_training": rounds, "curriculum": curriculum}


def _one_round(chains: int, inputs: Inputs) -> dict[str, Any]:
    prompts, samples = _spread(chains, inputs)
    return {"rounds": 1, "prompts": prompts, "samples_per_prompt": samples, "start": "base", "demonstrations": True}


def _spread(chains: int, inputs: Inputs) -> tuple[int, int]:
    """Problems, and chains for each of them."""
    samples = max(1, min(chains, max(LEAST_SAMPLES, math.ceil(chains / inputs.problems))))
    return max(1, chains // samples), samples


def _base_or_warmup(settings: Settings) -> str:
    return "warmup" if settings["model"]["path"] is None else "base"
