"""Every shipped config is read, checked and, where its data are at hand, prepared."""

from pathlib import Path

import pytest

from reft.compose import compose, shipped_configs

CONFIGS = sorted(shipped_configs().glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_is_valid_and_says_what_it_is(path: Path) -> None:
    composed = compose(str(path))
    assert composed.config.train.steps or composed.config.self_training.rounds
    assert path.read_text().startswith("# "), "a reader is told what the config is for"


REFT_7B = {
    # mwp_ReFT exps/paper_exps: SFT/_template.sh, ReFT/_template.sh
    "warmup.epochs": 2, "warmup.schedule_epochs": 40, "warmup.batch_size": 48, "warmup.lr": 1e-5, "warmup.warmup_share": 0.1,
    "sampling.temperature": 1.0, "sampling.max_tokens": 700, "algorithm.kl_coef": 0.05, "algorithm.gamma": 1.0,
    "algorithm.lam": 0.95, "algorithm.clip": 0.2, "algorithm.value_clip": 0.2, "algorithm.vf_coef": 5.0, "algorithm.epochs": 2,
    "algorithm.minibatches": 1, "algorithm.aggregation": "seq-mean-token-mean", "train.prompts": 32,
    "train.samples_per_prompt": 1, "learner.lr": 3e-7, "learner.schedule": "constant", "learner.warmup_steps": 0,
    "learner.weight_decay": 0.0, "learner.grad_clip": 1.0, "learner.betas": [0.9, 0.999], "checker.tolerance": 0.01,
}  # fmt: skip
VERL = {
    # verl docs/start/quickstart.rst, examples/grpo_trainer/run_qwen2-7b.sh, trainer/config/ppo_trainer.yaml
    "sampling.max_tokens": 512, "algorithm.kl_coef": 0.001, "algorithm.clip": 0.2, "algorithm.dual_clip": 3.0,
    "algorithm.aggregation": "token-mean", "algorithm.stop_kl": None, "algorithm.epochs": 1, "algorithm.minibatches": 4,
    "train.prompts": 1024, "learner.lr": 1e-6, "learner.weight_decay": 0.01,
}  # fmt: skip
SELF_TRAINING = {
    # mwp_ReFT exps/paper_exps/OffSL and Sampling, train_sl_model.py:325-341
    "self_training.rounds": 1, "self_training.samples_per_prompt": 100, "self_training.cap": 10,
    "self_training.distinct": "text",
    "self_training.demonstrations": True, "self_training.start": "base", "self_training.epochs": 20,
    "self_training.batch_size": 48, "self_training.lr": 1e-5, "self_training.warmup_share": 0.1,
    "self_training.schedule": "linear", "sampling.temperature": 1.0, "checker.tolerance": 0.01,
}  # fmt: skip
PUBLISHED = {
    "offline_st_gsm8k": SELF_TRAINING,
    "online_st_gsm8k": {name: value for name, value in REFT_7B.items() if not name.startswith("algorithm.")}
    | {"algorithm.use": "online_st", "algorithm.epochs": 2, "train.steps": 63000},
    # OFA-Sys/gsm8k-ScRel train_7b.sh, single_inference_7b_13b.py
    "rft_gsm8k": {
        "self_training.rounds": 1, "self_training.samples_per_prompt": 100, "self_training.temperature": 0.7,
        "self_training.distinct": "equations", "self_training.demonstrations": True, "self_training.epochs": 3,
        "self_training.batch_size": 128, "self_training.lr": 2e-5, "self_training.schedule": "cosine",
        "self_training.warmup_share": 0.03, "self_training.weight_decay": 0.0, "sampling.max_tokens": 256,
    },
    # ezelikman/STaR iteration_train.py, configs/iterative_base/base.json
    "star_gsm8k": {
        "self_training.samples_per_prompt": 1, "self_training.rationalize": 1.0, "self_training.start": "base",
        "self_training.growth": 1.2, "self_training.packing": True, "self_training.pack_to": 2048,
        "self_training.batch_size": 8, "self_training.warmup_steps": 100, "self_training.lr": 1e-6,
        "self_training.schedule": "constant", "self_training.weight_decay": 0.0, "self_training.demonstrations": False,
    },
    # arXiv 2312.06585, section 4; McGill-NLP/VinePPO configs/polIter_rho1bSft2_restem_MATH_debug, trainers/restem_MATH
    "rest_em_gsm8k": {
        "self_training.samples_per_prompt": 32, "self_training.cap": 10, "self_training.start": "base",
        "self_training.patience": 0, "self_training.temperature": 0.6, "self_training.epochs": 8,
        "self_training.batch_size": 64, "self_training.lr": 1e-6, "self_training.warmup_share": 0.03,
        "self_training.weight_decay": 0.0, "self_training.demonstrations": False, "sampling.max_tokens": 1024,
    },
    # WooooDyy/LLM-Reverse-Curriculum-RL R3_math/scripts/R3_cot_gsm8k.sh
    "r3_gsm8k": REFT_7B | {"curriculum.stages": 3, "curriculum.share": None, "train.steps": 9340},
    "reft_gsm8k": REFT_7B,
    "reft_svamp": REFT_7B,
    "reft_svamp_programs": REFT_7B | {"algorithm.kl_coef": 0.01, "programs.seconds": 10.0},
    "ppo_gsm8k": VERL | {
        "algorithm.lam": 1.0, "algorithm.lam_value": 1.0, "algorithm.value_clip": 0.5, "algorithm.vf_coef": 0.5,
        "learner.critic_lr": 1e-5, "train.samples_per_prompt": 1,
    },
    "grpo_gsm8k": VERL | {"algorithm.kl_estimator": "k3", "algorithm.scale_rewards": "group", "train.samples_per_prompt": 5},
    # arXiv 2402.03300, section 4.2
    "grpo_math": {
        "learner.lr": 1e-6, "algorithm.kl_coef": 0.04, "algorithm.kl_estimator": "k3", "algorithm.epochs": 1,
        "algorithm.minibatches": 1, "train.prompts": 16, "train.samples_per_prompt": 64, "sampling.max_tokens": 1024,
        "algorithm.aggregation": "seq-mean-token-mean",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_are_as_published(name: str) -> None:
    identity = compose(name).identity()
    assert {key: identity[key] for key in PUBLISHED[name]} == PUBLISHED[name]


def test_every_config_of_a_hub_model_is_pinned_to_its_source() -> None:
    hub = {path.stem for path in CONFIGS if compose(str(path)).config.model.path is not None}
    assert hub == set(PUBLISHED)


@pytest.mark.parametrize(
    "name",
    [
        "quickstart",
        "reft_running_total",
        "ppo_running_total",
        pytest.param("reft_word_problems", marks=pytest.mark.slow),
        pytest.param("reft_word_problems_programs", marks=pytest.mark.slow),
    ],
)
def test_can_be_prepared(name: str) -> None:
    from reft.arithmetic import arithmetic
    from reft.prepare import prepare

    composed = compose(name)
    prepared = prepare(composed)
    assert prepared.too_long == 0
    text = arithmetic(prepared)
    assert composed.hash() in text
    chains = composed.config.train.steps * composed.config.train.prompts
    assert f"{chains:,} chains" in text
