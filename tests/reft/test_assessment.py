"""What many chains a problem make together, by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy
import pytest

from reft.assessment import search_report
from reft.config import EvaluateConfig, SamplingConfig
from reft.flops import Cost
from reft.reward_config import CheckerConfig
from tests.rollout.test_vote import drawn

CONFIG = SimpleNamespace(
    checker=CheckerConfig(), sampling=SamplingConfig(temperature=0.7, max_tokens=9), evaluate=EvaluateConfig(top_p=0.9)
)
SAMPLES = [
    *drawn(["1", "2", "2"], right="1"),  # the majority is wrong, the scores are right
    *drawn(["4", "3", "4"], right="4"),  # the other way round
    *drawn([None, None, None]),
    *drawn(["5", "6", "7"], right="8"),
]
COST = Cost(1.0, 0.0)
SCORES = [0.9, 0.1, 0.2, 0.3, 0.8, 0.1, 0.9, 0.9, 0.9, 0.4, 0.5, 0.6]


def test_votes_scores_and_the_upper_bound() -> None:
    found = search_report(CONFIG, SAMPLES, 3, SCORES, COST)  # type: ignore[arg-type]
    assert {name: found[name]["value"] for name in ("vote", "rerank", "upper_bound")} == {
        "vote": 1 / 4, "rerank": 1 / 4, "upper_bound": 2 / 4,
    }  # fmt: skip
    assert {found[name]["n"] for name in ("vote", "rerank", "upper_bound")} == {4}
    assert found["rerank"]["low"] == pytest.approx(0.0456, abs=1e-4), "Wilson's"
    assert (found["chains"], found["temperature"], found["max_tokens"], found["top_p"]) == (3, 0.7, 9, 0.9)


def test_each_problem_has_its_own_scores() -> None:
    first, second = drawn(["1", "2"], right="1"), drawn(["3", "4"], right="4")
    for scores, right in (([1, 0, 0, 1], 1.0), ([0, 1, 1, 0], 0.0), ([1, 0, 1, 0], 0.5)):
        found = search_report(CONFIG, [*first, *second], 2, scores, COST)  # type: ignore[arg-type]
        assert found["rerank"]["value"] == right


def test_without_scores_nothing_is_reranked() -> None:
    found = search_report(CONFIG, SAMPLES, 3, None, COST)  # type: ignore[arg-type]
    assert not {"rerank", "scoring_flops_per_query"} & found.keys()


def test_what_a_query_takes() -> None:
    """Two problems of two chains, of prompts with two tokens and three: operations are tokens that are put in and a hundredth
    of the pairs of tokens that see each other."""
    lengths = [(2, 4), (2, 6), (3, 5), (3, 1)]
    samples = [
        replace(sample, completion=replace(sample.completion, prompt_tokens=numpy.arange(prompt, dtype=numpy.int32),
                                           tokens=numpy.zeros(tokens, numpy.int32)))
        for sample, (prompt, tokens) in zip(drawn(["1", "2", "3", "4"]), lengths, strict=True)
    ]  # fmt: skip
    samples[0] = replace(samples[0], completion=replace(samples[0].completion, discarded=2))
    found = search_report(CONFIG, samples, 2, [0.0] * 4, Cost(1.0, 0.01), Cost(1.0, 0.0))  # type: ignore[arg-type]
    assert found["tokens_per_query"] == (4 + 2 + 6 + 5 + 1) / 2, "what was discarded was drawn"
    put_in = [2 + 5 + 5, 3 + 4 + 0]
    pairs = [3 + (3 + 4 + 5 + 6 + 7) * 2, 6 + (4 + 5 + 6 + 7)]
    assert found["flops_per_query"] == pytest.approx((sum(put_in) + 0.01 * sum(pairs)) / 2)
    assert found["scoring_flops_per_query"] == (6 + 8 + 8 + 4) / 2, "each chain is read whole"
