"""DeepSpeed on any number of ranks does what plain torch does in one process."""

import itertools
import os
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from reft.algorithms import Outputs
from reft.algorithms.dapo import DAPO
from reft.algorithms.dr_grpo import DrGRPO
from reft.algorithms.ppo import PPO
from reft.algorithms.reft import ReFT
from reft.algorithms.reinforce_pp import ReinforcePP
from reft.algorithms.rloo import RLOO
from reft.batch import Batch, collate, take
from reft.config import LearnerConfig, ModelConfig
from reft.errors import RunError
from reft.learner.driver import Learner, LocalGang, UpdateShape
from reft.learner.optimization import rate_factor
from reft.learner.rank import Rank, RankSettings, StepRecord
from rewards.equal import NO_ANSWER
from rollout.engine import checksum, untied
from rollout.engines.hf import HFEngineFactory
from rollout.types import Problem, Sample, SamplingParams

PROMPTS = ["a 5 b 3 c 4 > 4 ?", "a 1 b 1 c 1 > 1 ?", "a 9 b 2 c 3 > 14 ?", "a 2 b 7 c 7 > 2 ?", "a 6 b 6 c 1 > 1 ?"]
ALGORITHM = ReFT(kl_coef=0.05, epochs=2, minibatches=2)


# The gradient of GPT-2's key bias is zero but for rounding, which Adam with its usual epsilon would blow up to full steps.
# Of fifteen chains in two minibatches, two ranks get four and four, then four and three: at three a forward pass, one of them
# has nothing left for the last pass and must stand in.
LEARNER = {"threads": 1, "lr": 1e-3, "critic_lr": 1e-2, "micro_batch": 3, "eps": 1e-5}


def settings(model: Path, deepspeed: bool) -> RankSettings:
    config = LearnerConfig(**LEARNER)
    return RankSettings(str(model), str(model), ModelConfig(), config, ALGORITHM, 1.0, 0, deepspeed)


def shape(**changes: object) -> UpdateShape:
    return UpdateShape(**{
        "epochs": 2, "minibatches": 2, "micro_batch": 3, "schedule": "linear", "warmup_steps": 1, "critic_warmup": 1,
        "steps": 5, "stop_kl": None, "lr": 1e-3, "dtype": "float32", "seed": 0, **changes,
    })  # fmt: skip


def sample_batch(model: Path, seed: int) -> Batch:
    """Fifteen chains of the fresh model, rewarded by their length."""
    engine = HFEngineFactory(str(model))()
    groups = engine.generate(PROMPTS, 3, SamplingParams(1.0, 9), seed)
    return collate(
        [
            Sample(Problem("p", "", ""), completion, None, NO_ANSWER, {}, len(completion.tokens) % 3 / 2, 0)
            for group in groups
            for completion in group
        ],
        pad=0,
    )


def five_updates(learner: Learner, model: Path) -> list[dict[str, float]]:
    history = []
    for update in range(5):
        batch = sample_batch(model, update)
        experience, metrics = ALGORITHM.credit(batch, learner)
        history.append(metrics | learner.update(experience))
    return history


@pytest.fixture(scope="module")
def reference(tiny_model):
    """Metrics, gradients and weights of five updates in plain torch."""
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape())
    grads: list[dict[str, torch.Tensor]] = []
    optimization = learner.gang.rank.optimization
    step = optimization.step

    def watched(factor: float, critic_only: bool) -> float:
        named = optimization.module.named_parameters()
        grads.append({name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None})
        return step(factor, critic_only)

    optimization.step = watched
    history = five_updates(learner, tiny_model)
    return history, grads, {name: value.clone() for name, value in optimization.module.state_dict().items()}


def run_ranks(model: Path, tmp_path: Path, world: int, zero: int, dtype: str = "float32") -> list[dict]:
    """Five updates on DeepSpeed ranks, each a process; what rank 0 saw."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    processes = []
    for rank in range(world):
        environment = os.environ | {
            "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "PYTHONPATH": str(Path(__file__).parent.parent.parent), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        arguments = [str(model), str(tmp_path), str(world), str(zero), dtype]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.reft.learner_process", *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes), "\n".join(output[-3000:] for output in outputs)
    return torch.load(tmp_path / "result.pt", weights_only=True)


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("zero", [0, 2, 3])
def test_ranks_equal_one_process(reference, tiny_model, tmp_path, world: int, zero: int) -> None:
    history, grads, weights = reference
    result = run_ranks(tiny_model, tmp_path, world, zero)
    for mine, theirs in zip(result["history"], history, strict=True):
        for name in theirs:
            assert mine[name] == pytest.approx(theirs[name], rel=1e-5, abs=1e-6), name
    assert len(result["grads"]) == len(grads) == 20
    for mine, theirs in zip(result["grads"], grads, strict=True):
        assert relative_error(mine, theirs) < 1e-5
        for name, gradient in theirs.items():
            torch.testing.assert_close(mine[name], gradient, rtol=1e-5, atol=1e-5 * float(gradient.abs().max()) + 1e-8)
    for name, tensor in weights.items():
        assert relative_error({"": result["weights"][name]}, {"": tensor}) < 1e-5, name


def relative_error(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """|a - b| / |b| over all tensors together."""
    apart = sum(float(((mine[name] - theirs[name]) ** 2).sum()) for name in theirs)
    return (apart / sum(float((theirs[name] ** 2).sum()) for name in theirs)) ** 0.5


def test_bfloat16_keeps_master_weights(tiny_model, tmp_path) -> None:
    result = run_ranks(tiny_model, tmp_path, 1, 0, "bfloat16")
    first = result["history"][0]
    assert first["policy/ratio_deviation_first"] <= 5e-2
    assert all(torch.isfinite(tensor).all() for tensor in result["weights"].values())
    assert {str(tensor.dtype) for tensor in result["weights"].values()} == {"torch.bfloat16"}


@pytest.mark.parametrize("micro_batch", [1, 4, 100])
def test_micro_batches_change_nothing(reference, tiny_model, micro_batch: int) -> None:
    history, _, weights = reference
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape(micro_batch=micro_batch))
    for mine, theirs in zip(five_updates(learner, tiny_model), history, strict=True):
        assert mine["loss/total"] == pytest.approx(theirs["loss/total"], rel=1e-4, abs=1e-6)
    for name, tensor in learner.gang.rank.optimization.module.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-4, atol=2e-6)


def test_each_minibatch_is_divided_by_its_own_count(tiny_model) -> None:
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape(critic_warmup=0))
    rank = learner.gang.rank
    experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
    rows = torch.arange(8)  # the first of two minibatches
    part = take(experience, rows)
    loss = ALGORITHM.loss(Outputs(*rank.model(part.batch.tokens, part.batch.lengths)), part).total / 8  # a sequence counts 1
    expected = torch.autograd.grad(loss, list(rank.model.parameters()))
    found: list[list[torch.Tensor]] = []
    step = rank.optimization.step

    def watched(factor: float, critic_only: bool) -> float:
        found.append([parameter.grad.clone() for parameter in rank.model.parameters()])
        return step(factor, critic_only)

    rank.optimization.step = watched
    learner.update(experience)
    for mine, theirs in zip(found[0], expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_first_minibatch_is_exact(reference) -> None:
    history, _, _ = reference
    assert [metrics["policy/ratio_deviation_first"] for metrics in history] == [0.0] * 5
    assert max(metrics["sampler/logprob_gap_max"] for metrics in history[:1]) < 1e-5


def test_log_probs_that_disagree_stop_the_run(tiny_model) -> None:
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape())
    experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
    with torch.no_grad():
        experience.old_logprobs.sub_(0.01)
    with pytest.raises(RunError, match=r"ratio of 1±0\.01"):
        learner.update(experience)


def test_clipping_before_anything_moved_stops_the_run(tiny_model) -> None:
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape())
    with pytest.raises(RunError, match="3 tokens are clipped in the first minibatch"):
        learner._check_first(StepRecord(0.0, {"policy/clip_fraction": 3.0}, {"policy/ratio_deviation": 0.0}, 10, 1.0))


def test_save_and_load_go_on_where_they_stopped(tiny_model, tmp_path) -> None:
    def fresh() -> Learner:
        return Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape())

    straight = fresh()
    five_updates(straight, tiny_model)
    broken = fresh()
    for update in range(5):
        batch = sample_batch(tiny_model, update)
        if update == 3:
            folder = tmp_path / "checkpoint"
            broken.save(folder)
            broken = fresh()
            broken.load(folder)
        experience, _ = ALGORITHM.credit(batch, broken)
        broken.update(experience)
    left, right = straight.weights(), broken.weights()
    assert left.checksum == right.checksum


def test_a_checkpoint_is_what_transformers_loads(tiny_model, tmp_path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape())
    five_updates(learner, tiny_model)
    learner.save(tmp_path / "checkpoint")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint")
    assert checksum(untied(model.state_dict())) == learner.weights().checksum
    assert AutoTokenizer.from_pretrained(tmp_path / "checkpoint")("a 5")["input_ids"]
    again = Learner(LocalGang(partial(Rank, settings=settings(tmp_path / "checkpoint", deepspeed=False))), shape())
    assert again.gang.rank.model.value_head.weight.abs().sum() > 0, "the value head came along"


def test_a_separate_critic_learns_at_its_own_rate(tiny_model) -> None:
    config = LearnerConfig(threads=1, lr=0.0, critic_lr=1e-2)
    apart = RankSettings(
        str(tiny_model), str(tiny_model), ModelConfig(critic="separate"), config, ALGORITHM, 1.0, 0, deepspeed=False
    )
    learner = Learner(LocalGang(partial(Rank, settings=apart)), shape())
    before = learner.weights().checksum
    critic = {name: value.clone() for name, value in learner.gang.rank.model.value_state().items()}
    five_updates(learner, tiny_model)
    assert learner.weights().checksum == before, "a policy with learning rate 0 stays"
    moved = [name for name, value in learner.gang.rank.model.value_state().items() if not torch.equal(value, critic[name])]
    assert "value_head.weight" in moved
    assert any(name.startswith("critic.") for name in moved)


def test_while_the_critic_warms_up_the_policy_stays(tiny_model) -> None:
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape(critic_warmup=2))
    sums, heads = [learner.weights().checksum], [learner.gang.rank.model.value_head.weight.clone()]
    for update in range(3):
        experience, _ = ALGORITHM.credit(sample_batch(tiny_model, update), learner)
        learner.update(experience)
        sums.append(learner.weights().checksum)
        heads.append(learner.gang.rank.model.value_head.weight.clone())
    assert sums[0] == sums[1] == sums[2] != sums[3]
    assert all(not torch.equal(before, after) for before, after in itertools.pairwise(heads))


def test_what_the_critic_warms_up_on_leaves_no_trace_in_the_policy(tiny_model) -> None:
    """Not even in Adam's moments: an update without advantages, behind the warm-up, moves nothing."""
    config = LearnerConfig(**LEARNER)
    apart = RankSettings(str(tiny_model), str(tiny_model), ModelConfig(critic="separate"), config, ALGORITHM, 1.0, 0, False)
    learner = Learner(LocalGang(partial(Rank, settings=apart)), shape(critic_warmup=2))
    start = learner.weights().checksum
    for update in range(3):
        experience, _ = ALGORITHM.credit(sample_batch(tiny_model, update), learner)
        if update == 2:
            experience = replace(experience, advantages=torch.zeros_like(experience.advantages))
        learner.update(experience)
    assert learner.weights().checksum == start
    learner.update(ALGORITHM.credit(sample_batch(tiny_model, 3), learner)[0])
    assert learner.weights().checksum != start


def test_both_learning_rates_follow_the_schedule(tiny_model) -> None:
    rank = Rank(0, 1, settings(tiny_model, deepspeed=False))
    rank.optimization.step(0.5, critic_only=False)
    assert [group["lr"] for group in rank.optimization.optimizer.param_groups] == [0.5e-3, 0.5e-2]
    rank.optimization.step(0.25, critic_only=True)
    assert [group["lr"] for group in rank.optimization.optimizer.param_groups] == [0.0, 0.25e-2]


OTHERS = {
    "ppo": PPO(minibatches=2, stop_kl=None), "dapo": DAPO(minibatches=2, filter_groups="never"),
    "dr_grpo": DrGRPO(minibatches=2, longest=9, kl_coef=0.1), "rloo": RLOO(minibatches=2),
    "reinforce_pp": ReinforcePP(minibatches=2),
}  # fmt: skip


def two_updates(algorithm: Any, model: Path, micro_batch: int) -> dict[str, torch.Tensor]:
    """The weights behind them, in one process."""
    plain = replace(settings(model, deepspeed=False), algorithm=algorithm)
    at = shape(epochs=1, micro_batch=micro_batch, critic_warmup=0)
    learner = Learner(LocalGang(partial(Rank, settings=plain)), at)
    for update in range(2):
        batch = sample_batch(model, update)
        learner.update(algorithm.credit(batch, learner)[0])
    return {name: value.clone() for name, value in learner.gang.rank.model.state_dict().items()}


@pytest.mark.parametrize("algorithm", OTHERS.values(), ids=OTHERS)
def test_micro_batches_change_no_algorithm(tiny_model, algorithm) -> None:
    whole, cut = (two_updates(algorithm, tiny_model, micro_batch) for micro_batch in (15, 2))
    start = Rank(0, 1, settings(tiny_model, deepspeed=False)).model.state_dict()
    assert relative_error(whole, start) > 1e-4, "something was learnt"
    moved = {name: whole[name] - start[name] for name in whole}
    assert relative_error({name: cut[name] - start[name] for name in whole}, moved) < 1e-3


def test_an_update_ends_early_where_the_policy_has_moved_too_far(tiny_model) -> None:
    def steps(stop_kl: float | None) -> float:
        at = shape(critic_warmup=0, stop_kl=stop_kl)
        learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), at)
        experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
        return learner.update(experience)["optimizer/steps"]

    assert steps(None) == steps(1e9) == 4
    # The first minibatch comes before any move, so its divergence is exactly zero; the second's is not.
    assert steps(1e-12) == 2
    # A token's, not a batch's: at twice the mean of the whole update none of its steps is the last before its time.
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape(critic_warmup=0))
    mean = learner.update(ALGORITHM.credit(sample_batch(tiny_model, 0), learner)[0])["kl/update"]
    assert steps(4 * mean) == 4


def test_each_pass_deals_its_minibatches_anew(tiny_model) -> None:
    learner = Learner(
        LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape(critic_warmup=0, epochs=3)
    )
    seen: list[list[int]] = []
    call = learner.gang.call

    def watched(method: str, *arguments: Any) -> list[Any]:
        if method == "step":
            seen.append(sorted(arguments[0].rows.tolist()))
        return call(method, *arguments)

    learner.gang.call = watched
    for update in range(2):
        learner.update(ALGORITHM.credit(sample_batch(tiny_model, update), learner)[0])
    halves = [seen[at : at + 2] for at in range(0, 12, 2)]
    assert all(sorted(first + second) == list(range(15)) for first, second in halves)
    assert halves[0][0] == list(range(8)), "the first pass takes them as they come"
    assert len({tuple(first) for first, _ in halves}) == 5, "the others shuffle, each update its own way"


def test_metrics_are_means_over_the_tokens_of_all_steps(tiny_model) -> None:
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape(critic_warmup=0))
    records = []
    call = learner.gang.call

    def watched(method: str, *arguments: Any) -> list[Any]:
        answers = call(method, *arguments)
        if method == "step":
            records.extend(answers)
        return answers

    learner.gang.call = watched
    experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
    metrics = learner.update(experience)
    tokens = sum(record.actions for record in records)
    assert tokens == 2 * int(experience.batch.action_mask.sum()), "two passes"
    assert metrics["policy/ratio"] == pytest.approx(sum(record.sums["policy/ratio"] for record in records) / tokens)
    assert metrics["policy/ratio"] == pytest.approx(1, abs=0.1)


def test_what_an_algorithm_remembers_is_saved(tiny_model, tmp_path) -> None:
    learner = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape())
    learner.memory["kl_coef"] = 0.125
    learner.save(tmp_path / "checkpoint")
    other = Learner(LocalGang(partial(Rank, settings=settings(tiny_model, deepspeed=False))), shape())
    other.load(tmp_path / "checkpoint")
    assert other.memory == {"kl_coef": 0.125}


def test_learning_rate_shapes() -> None:
    assert [rate_factor("constant", 0, step, 4) for step in range(4)] == [1, 1, 1, 1]
    assert [rate_factor("linear", 0, step, 4) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    assert [rate_factor("linear", 1, step, 5) for step in range(5)] == [0.5, 1, 0.75, 0.5, 0.25]
    assert rate_factor("cosine", 0, 2, 4) == pytest.approx(0.5)
