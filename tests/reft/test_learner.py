"""DeepSpeed on any number of ranks does what plain torch does in one process."""

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from reft.config import LearnerConfig, ModelConfig
from reft.errors import RunError
from reft.learner.driver import Learner, LocalGang
from reft.learner.optimization import rate_factor
from reft.learner.rank import Rank, RankSettings, StepRecord
from rollout.engine import checksum, untied
from tests.devices import DEVICES, GPU
from tests.processes import run_processes
from tests.reft.learners import ALGORITHM, LEARNER, five_updates, learner_of, relative_error, sample_batch, settings, shape


@pytest.fixture(scope="module")
def reference(tiny_model):
    """Metrics, gradients and weights of five updates in plain torch."""
    learner = learner_of(tiny_model)
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


def run_ranks(
    model: Path, tmp_path: Path, world: int, zero: int, dtype: str = "float32", device: str = "cpu", longest: int = 9
) -> dict:
    """Five updates on DeepSpeed ranks, each a process; what rank 0 saw."""
    words = [str(model), str(tmp_path), str(world), str(zero), dtype, str(float(device == "cuda")), str(longest)]
    run_processes("tests.reft.learner_process", world, words, {"DS_ACCELERATOR": device})
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


@pytest.mark.parametrize("zero", [pytest.param(zero, marks=GPU) for zero in (0, 2, 3)])
def test_a_gpu_learns_what_a_cpu_does(reference, tiny_model, tmp_path, zero: int) -> None:
    """In float32, whose sums are made in another order there."""
    history, grads, weights = reference
    result = run_ranks(tiny_model, tmp_path, 1, zero, device="cuda")
    gaps = [relative_error(mine, theirs) for mine, theirs in zip(result["grads"], grads, strict=True)]
    moved = relative_error(result["weights"], weights)
    print(f"gradients {max(gaps):.1e} and weights {moved:.1e} from the CPU's, as a share of them")
    for mine, theirs in zip(result["history"], history, strict=True):
        for name in theirs:
            assert mine[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-5), name
    assert len(gaps) == 20
    assert max(gaps) < 1e-4
    assert moved < 1e-5


@pytest.mark.parametrize("dtype", [pytest.param(dtype, marks=GPU) for dtype in ("float32", "bfloat16")])
def test_a_gpu_learns_the_same_again(tiny_model, tmp_path, dtype: str) -> None:
    """To the last bit, of chains as long as the context, over which attention's gradients are sums of several parts."""
    first, second = (run_ranks(tiny_model, tmp_path, 1, 0, dtype, "cuda", longest=70) for _ in range(2))
    assert first["history"] == second["history"]
    assert all(torch.equal(tensor, second["weights"][name]) for name, tensor in first["weights"].items())


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_keeps_master_weights(tiny_model, tmp_path, device: str) -> None:
    result = run_ranks(tiny_model, tmp_path, 1, 0, "bfloat16", device)
    first = result["history"][0]
    assert first["policy/ratio_deviation_first"] <= 5e-2
    assert all(torch.isfinite(tensor).all() for tensor in result["weights"].values())
    assert {str(tensor.dtype) for tensor in result["weights"].values()} == {"torch.bfloat16"}


@pytest.mark.parametrize("micro_batch", [1, 4, 100])
def test_micro_batches_change_nothing(reference, tiny_model, micro_batch: int) -> None:
    history, _, weights = reference
    learner = learner_of(tiny_model, micro_batch=micro_batch)
    for mine, theirs in zip(five_updates(learner, tiny_model), history, strict=True):
        assert mine["loss/total"] == pytest.approx(theirs["loss/total"], rel=1e-4, abs=1e-6)
    for name, tensor in learner.gang.rank.optimization.module.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-4, atol=2e-6)


def test_first_minibatch_is_exact(reference) -> None:
    history, _, _ = reference
    assert [metrics["policy/ratio_deviation_first"] for metrics in history] == [0.0] * 5
    assert max(metrics["sampler/logprob_gap_max"] for metrics in history[:1]) < 1e-5


def test_log_probs_that_disagree_stop_the_run(tiny_model) -> None:
    learner = learner_of(tiny_model)
    experience, _ = ALGORITHM.credit(sample_batch(tiny_model, 0), learner)
    with torch.no_grad():
        experience.old_logprobs.sub_(0.01)
    with pytest.raises(RunError, match=r"ratio of 1±0\.01"):
        learner.update(experience)


def test_clipping_before_anything_moved_stops_the_run(tiny_model) -> None:
    learner = learner_of(tiny_model)
    with pytest.raises(RunError, match="3 tokens are clipped in the first minibatch"):
        learner._check_first(StepRecord(0.0, {"policy/clip_fraction": 3.0}, {"policy/ratio_deviation": 0.0}, 10, 1.0))


def test_save_and_load_go_on_where_they_stopped(tiny_model, tmp_path) -> None:
    def fresh() -> Learner:
        return learner_of(tiny_model)

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

    learner = learner_of(tiny_model)
    five_updates(learner, tiny_model)
    learner.save(tmp_path / "checkpoint")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint")
    assert checksum(untied(model.state_dict())) == learner.weights().checksum
    assert AutoTokenizer.from_pretrained(tmp_path / "checkpoint")("a 5")["input_ids"]
    again = learner_of(tmp_path / "checkpoint")
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
    learner = learner_of(tiny_model, critic_warmup=2)
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


def test_what_an_algorithm_remembers_is_saved(tiny_model, tmp_path) -> None:
    learner = learner_of(tiny_model)
    learner.memory["kl_coef"] = 0.125
    learner.save(tmp_path / "checkpoint")
    other = learner_of(tiny_model)
    other.load(tmp_path / "checkpoint")
    assert other.memory == {"kl_coef": 0.125}


def test_learning_rate_shapes() -> None:
    assert [rate_factor("constant", 0, step, 4) for step in range(4)] == [1, 1, 1, 1]
    assert [rate_factor("linear", 0, step, 4) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    assert [rate_factor("linear", 1, step, 5) for step in range(5)] == [0.5, 1, 0.75, 0.5, 0.25]
    assert rate_factor("cosine", 0, 2, 4) == pytest.approx(0.5)


def test_weights_that_could_not_be_gathered_are_not_those_of_before(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers fetch them from rank 0 themselves; the driver only hears their checksum."""
    rank = Rank(0, 1, settings(tiny_model, deepspeed=False))
    rank.weights()
    assert isinstance(rank.checksum(), int)

    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(rank.optimization, "gathered", fail)
    with pytest.raises(torch.OutOfMemoryError):
        rank.weights()
    with pytest.raises(RuntimeError, match="could not be gathered"):
        rank.checksum()
