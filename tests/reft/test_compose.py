"""Settings: strict, typed, checked in one place, each error one line with the name, the value and the remedy."""

import dataclasses
from pathlib import Path

import pytest

from reft import config as sections
from reft.compose import Draft, annotated_defaults, compose, field_docstrings, find_config, shipped_configs
from reft.errors import ConfigError
from reft.prepare import prepare
from reft.reward_config import RewardConfig
from reft.tasks.signed_sum import SignedSum
from reft.validation import ABOVE, AT_LEAST, AT_MOST


def test_file_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("task: {use: signed_sum, operands: 4}\nlearner: {lr: 1e-4}\n")
    composed = compose(str(file), ["train.steps=7", "learner.betas=[0.8,0.9]", "task.tries=3", "seed=5"])
    assert composed.name == "mine"
    assert composed.config.task == SignedSum(operands=4, tries=3)
    assert (composed.config.train.steps, composed.config.seed) == (7, 5)
    assert (composed.config.learner.lr, composed.config.learner.betas) == (1e-4, (0.8, 0.9))
    assert composed.config.rewards["correct"].use == "correct"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.stepz=3", r"train.stepz.*Did you mean: 'steps'"),
        ("trian.steps=3", r"trian.*Did you mean: 'train'"),
        ("train.steps=many", r"train.steps.*'many'.*Integer"),
        ("train.steps=1.5", r"train.steps.*1.5"),
        ("train.steps=null", r"train.steps.*None"),
        ("train.steps=-1", r"train.steps=-1 is out of range; choose 0 or more"),
        ("learner.zero=4", r"learner.zero.*4"),
        ("learner.lr=nan", r"learner.lr=nan is out of range"),
        ("learner.betas=[0.9,1.0]", r"learner.betas.*out of range"),
        ("learner.gpus=1.5", r"learner.gpus=1.5 is out of range"),
        ("rollout.engine=sglang", r"rollout.engine.*sglang"),
        ("rollout.tensor_parallel=2", r"rollout.tensor_parallel=2 is for rollout.engine=vllm"),
        ("rollout.gpu_memory=0", r"rollout.gpu_memory=0.0 is out of range"),
        ("sampling.temperature=0", r"sampling.temperature=0.0 is out of range; choose more than 0"),
        ("model.heads=7", r"model.width=128 is no multiple of model.heads=7"),
        ("warmup.schedule_epochs=1", r"warmup.schedule_epochs=1.0 is less"),
        ("learner.critic_warmup=50", r"critic_warmup=50 of train.steps=50 leaves none for the policy"),
        ("self_training.schedule_epochs=-3", r"self_training.schedule_epochs=-3.0 is less"),
        ("rerank.schedule_epochs=0.5", r"rerank.schedule_epochs=0.5 is less"),
        ("warmup.pack_to=0", r"warmup.pack_to=0 is out of range"),
        ("rerank.warmup_steps=-1", r"rerank.warmup_steps=-1 is out of range"),
        ("warmup.ready_at=2", r"warmup.ready_at=2.0 is out of range"),
        ("task.operandz=3", r"task.operandz.*Did you mean.*'operands'"),
        ("task.operands=99", r"task.operands=99 is out of range"),
        ("task.use=sudoku", r"task.use='sudoku' is unknown; choose from .*signed_sum"),
        ("task.use=records", r"task.use='records' is unknown"),
        ("task.use=no.such:Task", r"task.use='no.such:Task' cannot be imported"),
        ("task.use=math:pi", r"names no dataclass"),
        ("algorithm.lam=2", r"algorithm.lam=2.0 is out of range"),
        ("algorithm.lamda=1", r"algorithm.lamda.*Did you mean.*'lam'"),
        ("rewards.mine.weight=2", r"rewards.mine.use is missing"),
        ("steps", r"'steps' is no setting; write key=value"),
    ],
)
def test_wrong_settings(override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        compose("quickstart", [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([], None),
        (["rollout.tensor_parallel=2"], None),
        (["rollout.tensor_parallel=2", "rollout.gpus=2"], None),
        (["rollout.tensor_parallel=2", "rollout.gpus=1"], "set rollout.gpus=2"),
        (["rollout.gpus=0.5", "rollout.gpu_memory=0.5"], None),
        (["rollout.gpus=0.5"], "rollout.gpu_memory=0.9 is more than .*; set rollout.gpu_memory=0.5 or less"),
        (["sampling.temperature=0.005"], "sampling.temperature=0.005 is below what rollout.engine=vllm takes"),
        (["self_training.temperature=0.009"], "self_training.temperature=0.009 is below"),
        (["evaluate.top_p=0.9", "evaluate.min_p=0.1"], r"evaluate.min_p=0.1 and evaluate.top_p=0.9 .*; choose one"),
    ],
)
def test_what_vllm_takes(overrides: list[str], told: str | None) -> None:
    words = ["rollout.engine=vllm", *overrides]
    if told is None:
        assert compose("quickstart", words).config.rollout.engine == "vllm"
    else:
        with pytest.raises(ConfigError, match=told):
            compose("quickstart", words)


def test_vllm_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is to sample, and not before: what a run with it has left can be read without."""
    monkeypatch.setattr("reft.prepare.find_spec", lambda name: None if name == "vllm" else name)
    composed = compose("quickstart", ["rollout.engine=vllm"])
    with pytest.raises(ConfigError, match=r"rollout.engine=vllm needs vLLM.*pip install 'reft-rl\[vllm\]'"):
        prepare(composed)


def test_what_is_watched_and_not_computed_is_no_other_run() -> None:
    plain = compose("quickstart", [])
    assert compose("quickstart", ["train.sampler_gap=0.02", "train.sampler_warning=0.1"]).hash() == plain.hash()
    assert compose("quickstart", ["train.steps=51"]).hash() != plain.hash()


@pytest.mark.parametrize(("gpus", "sleeps"), [(0.0, False), (0.5, True), (1.0, False)])
def test_workers_get_the_engine_that_is_named(gpus: float, sleeps: bool) -> None:
    from reft.rollouts import worker_settings
    from rollout.engines.hf import HFEngineFactory
    from rollout.engines.vllm_engine import VLLMEngineFactory

    words = [f"rollout.gpus={gpus}", "rollout.max_rows=7", "rollout.gpu_memory=0.5"]
    device = "cuda" if gpus else "cpu"
    named = worker_settings(compose("quickstart", [*words, "rollout.engine=vllm"]).config, "folder").engine
    assert named == VLLMEngineFactory("folder", "float32", device, 7, 1, 0.5, sleeps)
    assert worker_settings(compose("quickstart", words).config, "folder").engine == HFEngineFactory(
        "folder", device=device, max_rows=7
    )


@pytest.mark.parametrize("deadline", ["0", "-1", "nan"])
def test_a_deadline_that_no_reward_can_meet(deadline: str) -> None:
    with pytest.raises(ConfigError, match=r"rewards.correct.deadline=.* is out of range; choose more than 0"):
        compose("quickstart", ["rewards.correct.use=correct", f"rewards.correct.deadline={deadline}"])


@pytest.mark.parametrize("use", ["grpo", "dapo", "rloo", "reinforce_pp algorithm.baseline=true"])
def test_a_chain_alone_has_nothing_to_be_compared_with(use: str) -> None:
    alone = ["train.samples_per_prompt=1", *f"algorithm.use={use}".split()]
    with pytest.raises(ConfigError, match=r"samples_per_prompt=1 leaves nothing to compare .* takes 2 or more"):
        compose("grpo_running_total", alone)
    compose("grpo_running_total", ["train.samples_per_prompt=1", "algorithm.use=reinforce_pp"])


@pytest.mark.parametrize("setting", ["learner.critic_warmup=2", "model.critic=separate"])
def test_what_is_for_a_critic_is_refused_without_one(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} is for an algorithm with a critic, and this one has none"):
        compose("grpo_running_total", [setting])
    compose("ppo_running_total", [setting])


def test_dr_grpo_has_one_mean() -> None:
    with pytest.raises(ConfigError, match=r"aggregation=token-mean is not Dr. GRPO's; .*scale_rewards=none"):
        compose("grpo_running_total", ["algorithm.use=dr_grpo", "algorithm.aggregation=token-mean"])
    mean = ["algorithm.aggregation=seq-mean-token-sum-norm", "algorithm.longest=40"]
    compose("grpo_running_total", ["algorithm.use=dr_grpo", *mean])


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file.*quickstart"):
        compose("quickstrat")
    broken = tmp_path / "broken.yaml"
    broken.write_text("task: {use: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        compose(str(broken))
    broken.write_text("{}")
    with pytest.raises(ConfigError, match=r"task.use is missing; name one of .*jsonl"):
        compose(str(broken))


def test_shipped_configs_go_by_name_and_by_path() -> None:
    assert find_config("quickstart") == find_config("configs/quickstart.yaml") or find_config(
        "configs/quickstart.yaml"
    ) == Path("configs/quickstart.yaml")
    assert (shipped_configs() / "quickstart.yaml").is_file()


def test_identity_leaves_out_place_and_speed() -> None:
    base = compose("quickstart").hash()
    same = ("run.dir=x", "rollout.workers=1", "rollout.cpus=0.25", "ray.address=auto", "warmup.force=true", "ray.deadline=9")
    for override in same:
        assert compose("quickstart", [override]).hash() == base, override
    for override in ("seed=1", "train.steps=3", "rollout.shard_size=3", "learner.ranks=2", "task.tries=2", "rollout.threads=2"):
        assert compose("quickstart", [override]).hash() != base, override


def test_resolved_settings_come_back_the_same(tmp_path: Path) -> None:
    composed = compose("quickstart", ["seed=3", "rewards.x.use=answered"])
    file = tmp_path / "again.yaml"
    file.write_text(composed.yaml())
    assert compose(str(file)).config == composed.config
    assert compose(str(file)).hash() == composed.hash()


def test_every_field_is_documented() -> None:
    kinds = [kind for kind in vars(sections).values() if dataclasses.is_dataclass(kind) and kind is not sections.Config]
    for kind in kinds:
        documented = field_docstrings(kind)
        names = [item.name for item in dataclasses.fields(kind)]
        # One docstring may close a block of fields that belong together.
        assert documented, kind
        assert names[-1] in documented, f"{kind.__name__}.{names[-1]} has no docstring"
        undocumented = [name for name in names if name not in documented]
        assert len(undocumented) <= 3, f"{kind.__name__}: {undocumented}"


def test_bounds_name_real_fields() -> None:
    drafted = {item.name: item for item in dataclasses.fields(Draft)}
    for key in [*AT_LEAST, *AT_MOST, *ABOVE]:
        section, _, name = key.partition(".")
        assert section in drafted
        if name:
            kind = drafted[section].default_factory()
            assert name in {item.name for item in dataclasses.fields(kind)}, key


def test_annotated_defaults_are_a_valid_config(tmp_path: Path) -> None:
    text = annotated_defaults()
    assert "# Logits are divided by it" in text
    file = tmp_path / "defaults.yaml"
    file.write_text(text + "\ntask: {use: signed_sum}\n")
    assert compose(str(file)).config.train == sections.TrainConfig()
    for block in ("# algorithm:\n#   use: grpo\n", "# task:\n#   use: signed_sum\n"):
        assert block in text
    grpo = text.partition("#   use: grpo\n")[2].partition("\n\n")[0]
    assert "#   # Range above 1; null means `clip` (TRL: epsilon_high; DAPO: 0.28).\n#   clip_high: null\n" in grpo
    assert all(line.startswith("# ") for line in grpo.splitlines())


@pytest.mark.parametrize(
    ("use", "agreement", "judges"),
    [
        ("rewards.judge:judge", None, True),
        ("rewards.judge:judge", False, False),
        ("mine:judge", None, False),
        ("mine", True, True),
    ],
)
def test_what_is_watched_as_a_judge(use: str, agreement: bool | None, judges: bool) -> None:
    assert RewardConfig(use, agreement=agreement).is_judge == judges


def test_an_only_rank_may_share_its_gpu() -> None:
    assert compose("quickstart", ["learner.ranks=1", "learner.gpus=0.5"]).config.learner.gpus == 0.5
    with pytest.raises(ConfigError, match=r"learner.gpus=0.5 is not whole; .* one rank alone may share"):
        compose("quickstart", ["learner.ranks=2", "learner.gpus=0.5"])
