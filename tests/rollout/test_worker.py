"""A worker reads and scores whole chains, also where their beginning was given."""

from dataclasses import replace
from typing import Any

from rewards.equal import Checker
from rewards.scorer import Scorer
from rewards.terms import RewardTerm, load_term
from rollout.engines.scripted import ScriptedEngine
from rollout.types import Problem, SamplingParams
from rollout.worker import Shard, Worker

PROBLEM = Problem("p", "3 + 4 = ", "7")
WHOLE = "so 4 #### 7"


def worker(seen: list[dict[str, Any]]) -> Worker:
    def note(**columns: Any) -> list[float]:
        seen.append(columns)
        return [0.0] * len(columns["completions"])

    terms = [load_term("correct", "correct", 1.0, {}), RewardTerm("note", note, 1.0)]
    engine = ScriptedEngine(lambda prompt, sample: WHOLE if prompt.endswith("= ") else "4 #### 7")
    # The answer counts only in a chain that says how it was found.
    return Worker(engine, Scorer(terms, Checker()), lambda _, text: text.partition("#### ")[2] if "so 4" in text else None)


def test_a_chain_is_read_and_scored_with_its_prefix() -> None:
    seen: list[dict[str, Any]] = []
    given = replace(PROBLEM, prefix="so ")
    samples = worker(seen).work(Shard([PROBLEM, given], 1, SamplingParams(1.0, 20), 0))
    assert [sample.verdict.outcome for sample in samples] == ["equal", "equal"]
    assert [sample.reward for sample in samples] == [1.0, 1.0]
    assert [sample.completion.text for sample in samples] == [WHOLE, "4 #### 7"]
    assert [sample.completion.prefix for sample in samples] == ["", "so "]
    assert [call["completions"] for call in seen] == [[WHOLE], [WHOLE]]
    assert [call["completion_ids"] for call in seen] == [[[*map(ord, WHOLE), 0]]] * 2
    assert [call["prompts"] for call in seen] == [[PROBLEM.prompt]] * 2


def test_a_chain_is_cut_at_its_longest_as_a_whole() -> None:
    given = replace(PROBLEM, prefix="so ")
    first, second = worker([]).work(Shard([PROBLEM, given], 1, SamplingParams(1.0, 8), 0))
    assert first.completion.chain == second.completion.chain == WHOLE[:8]
    assert (first.completion.finish, second.completion.finish) == ("length", "length")
    assert len(second.completion.tokens) == 5
