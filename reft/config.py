"""The settings of a run: frozen dataclasses, a docstring under each field with its unit, range and source.

`reft.compose` fills them from a YAML file and `key=value` overrides. Each part of the system gets its own section;
below the command line nobody sees the whole.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from reft.reward_config import CheckerConfig, ProgramsConfig, RewardConfig

Distinct = Literal["none", "text", "equations", "edits"]
"""Which of a problem's chains count as different: all, those whose text differs, those whose equations do, or those that are
far apart by edits of their words (RFT, arXiv 2308.01825, whose code takes equations first and edits among equals)."""


@dataclass(frozen=True)
class ModelConfig:
    """The policy: weights from the hub or a folder, or fresh ones of any `transformers` architecture."""

    path: str | None = None
    """Hub id or folder of a causal LM with its tokenizer; null makes fresh weights from the fields below."""
    architecture: str = "gpt2"
    """Model type as `transformers` names it (gpt2, llama, qwen2, qwen3, ...), for fresh weights."""
    layers: int = 2
    """Blocks of fresh weights."""
    width: int = 64
    """Hidden size of fresh weights; a multiple of `heads`."""
    heads: int = 4
    """Attention heads of fresh weights."""
    context: int = 128
    """Positions of fresh weights, for prompt and chain together."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of the architecture's config, such as `num_key_value_heads`."""
    vocabulary: int = 2_000
    """Tokens of the byte-level BPE learnt from the training text, where the task has no closed vocabulary."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of weights in engines and in the learner's forward pass; bfloat16 keeps float32 master weights. Logits are float32."""
    critic: Literal["shared", "separate"] = "shared"
    """Whether the value head sits on the policy's trunk (ReFT, section 3.2) or on a trunk of its own."""
    value_head: Literal["zero", "uniform"] = "zero"
    """Start of the value head: zero (as in OpenAI's lm-human-preferences), or torch's U(±1/√width) (as ReFT's code)."""


@dataclass(frozen=True)
class ImitationConfig:
    """Imitation of chains, by TRL's SFTTrainer."""

    epochs: float = 2.0
    """Passes over the chains; of a warm-up, 0 skips it."""
    schedule_epochs: float | None = None
    """Passes the learning-rate schedule is laid out for; null means `epochs`. ReFT lays out 40 and stops at 2."""
    batch_size: int = 48
    """Chains an optimizer step, over all ranks (ReFT: 48)."""
    micro_batch: int = 64
    """Chains a forward pass, a rank, at most."""
    group_by_length: bool = False
    """Whether a batch holds chains of about the same length, which saves padding, instead of random ones."""
    packing: bool = False
    """Whether a row of a batch is as many chains as fit into `pack_to` tokens (STaR's code), none seeing the others;
    batch_size and micro_batch then count rows."""
    pack_to: int | None = None
    """Tokens of a packed row (STaR's code: 2048), and so the longest chain; null means the model's context."""
    lr: float = 1e-5
    """Peak learning rate (ReFT: 1e-5)."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Shape of the learning rate after its rise."""
    warmup_share: float = 0.1
    """Share of the schedule over which the learning rate rises (ReFT: 0.1); 0 to 1."""
    warmup_steps: int | None = None
    """Optimizer steps over which it rises, in place of a share (STaR's code: 100), though the training end before."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's betas."""
    weight_decay: float = 0.0
    """AdamW's weight decay (ReFT: 0)."""
    grad_clip: float = 1.0
    """Largest gradient norm (ReFT: 1)."""


@dataclass(frozen=True)
class WarmupConfig(ImitationConfig):
    """Imitation of demonstrations before reinforcement."""

    ready_at: float | None = 0.85
    """Share of sampled dev chains that must be valid (see README, glossary) for reinforcement to start; null asks nothing.

    Below it the run stops: reinforcement of a policy without a working way to answer only makes its chains shorter.
    """
    force: bool = False
    """Reinforce even if the warm-up is not ready."""


@dataclass(frozen=True)
class SelfTrainingConfig(ImitationConfig):
    """Rounds of sampling, keeping what is right and imitating it (STaR and its relatives), in place of reinforcement."""

    rounds: int = 0
    """Rounds; 0 trains by reinforcement."""
    prompts: int | None = None
    """Problems a round at most, each once; null takes all."""
    samples_per_prompt: int = 1
    """Chains a problem (STaR: 1; RFT and ReFT's offline self-training: 100; ReST-EM: 32). 0 samples nothing and imitates the
    demonstrations further, which takes `demonstrations`."""
    temperature: float | None = None
    """Of sampling; null means sampling.temperature. STaR's code has 0.01, by which a mixture of ways to answer collapses to the
    likeliest, often the shortest."""
    distinct: Distinct = "text"
    """Which of a problem's right chains count as different, so that more than one is kept."""
    least_distance: float = 0.2
    """Of chains that are different by edits: words changed over the words of the longer one, above 0 to 1."""
    rationalize: float = 0.0
    """Share of a round's problems without a right chain that are sampled once more with a hint of the answer, 0 to 1 (STaR: 1;
    its code: p_rationalization). What is kept of them is kept without the hint. Takes a task that has hints."""
    cap: int | None = None
    """Chains kept of a problem at most (ReST-EM and ReFT's offline self-training: 10); null keeps all."""
    start: Literal["base", "warmup", "previous"] = "base"
    """What imitation starts from: the model before the warm-up (STaR, RFT, ReST-EM, ReFT's offline self-training), the warm-up,
    or the round before."""
    demonstrations: bool = False
    """Whether the demonstrations are imitated with the kept chains (RFT, ReFT's offline self-training)."""
    growth: float = 1.0
    """Factor by which `epochs` grow each round, 1 or more (STaR's code: steps grow by 1.2)."""
    patience: int | None = None
    """Rounds without a better dev accuracy behind which no other follows (ReST-EM stops at the first); null does all."""


@dataclass(frozen=True)
class SamplingConfig:
    """How chains are drawn for training, and for sampled evaluation."""

    temperature: float = 1.0
    """Logits are divided by it, in the sampler and in the learner; above 0 (ReFT: 1)."""
    max_tokens: int = 256
    """Longest chain in tokens."""
    stop: list[str] = field(default_factory=list)
    """Texts that end a chain, as the end token does; the one that ends it is its last. Such a chain is finished, not cut. Of
    evaluation and `reft sample`, too; demonstrations are imitated as they are."""


@dataclass(frozen=True)
class TrainConfig:
    """Reinforcement: how much is sampled, how often it is looked at."""

    steps: int = 100
    """Rounds of sample, credit, update, publish; 0 skips reinforcement."""
    prompts: int = 256
    """Problems a step."""
    samples_per_prompt: int = 1
    """Chains per problem a step (ReFT: 1)."""
    rounds: int = 1
    """Times at most that a step draws `prompts` problems, each time by another shuffle, until as many have chains to learn from
    (DAPO's dynamic sampling; verl: max_num_gen_batches)."""
    sampler_warning: float = 0.005
    """Most that sampler and learner may differ in a sampled token's probability, on average, before the run says so (verl's FAQ
    holds 0.005 to be fine, and 0.01 to be trouble)."""
    sampler_gap: float | None = None
    """Most that they may differ before the run stops. null means 0.01, and in float32, where both compute the same, 0.001 nats
    of the token's log-prob as well. An algorithm's importance_cap corrects for what is allowed."""
    eval_every: int = 10
    """Steps between evaluations on the dev split; the best of them is the checkpoint reported."""
    save_every: int = 10
    """Steps between checkpoints; a run resumes from the last one."""
    samples_logged: int = 32
    """Chains a step written to `samples/`."""


@dataclass(frozen=True)
class CurriculumConfig:
    """Reinforcement from beginnings of right demonstrations (R3, arXiv 2402.05808). Problems without one are left out."""

    stages: int = 0
    """Lengths of a beginning: m/(stages + 1) of a demonstration's steps (lines, or the words of a single line) for each m; 0
    samples whole problems only."""
    share: float | None = None
    """Share of a step's problems that start from a beginning, 0 to 1; null means stages/(stages + 1), so that the whole problem
    is one of the starts, all alike."""


@dataclass(frozen=True)
class LearnerConfig:
    """DeepSpeed ranks and their optimizer."""

    ranks: int = 1
    """Processes that share each update."""
    threads: int = 2
    """CPU threads of each rank."""
    cpus: float = 1.0
    """CPUs that Ray reserves for a rank. Ranks and rollout workers take turns, so their sum may exceed the cores."""
    gpus: float = 0.0
    """GPUs of a rank, 0 or 1; of an only rank also a fraction, which leaves the rest of that GPU to rollout workers."""
    zero: Literal[0, 1, 2, 3] = 0
    """DeepSpeed ZeRO stage: what is divided over ranks, in imitation as in reinforcement (1 optimizer state, 2 also gradients,
    3 also parameters). In bfloat16 reinforcement takes 0 for 1, which on one rank is the same."""
    micro_batch: int = 128
    """Sequences a forward pass, a rank, at most. Changes memory and speed, not results."""
    lr: float = 3e-7
    """Peak learning rate (ReFT: 3e-7 for 7B parameters, 3e-6 for 125M)."""
    critic_lr: float | None = None
    """Peak learning rate of the value head, and of a separate critic's trunk; null means `lr`. Adam's steps do not grow with a
    loss's weight, so a head that starts at zero needs this to keep up with the policy."""
    critic_warmup: int = 0
    """Steps in which only the value head and a separate critic learn, so that the policy does not follow a value that knows
    nothing yet (verl: critic_warmup)."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Shape of the learning rate over the steps of the run (ReFT: constant)."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's betas (ReFT: torch's)."""
    eps: float = 1e-8
    """AdamW's epsilon (ReFT: 1e-8)."""
    weight_decay: float = 0.0
    """AdamW's weight decay (ReFT: 0)."""
    grad_clip: float = 1.0
    """Largest gradient norm (ReFT: 1); 0 does not clip."""
    restarts: int = 3
    """How often the ranks are started again, from the last checkpoint, when one of them is lost, with no new checkpoint in
    between; once more stops the run."""


@dataclass(frozen=True)
class RolloutConfig:
    """Ray workers that sample and score."""

    engine: Literal["hf", "vllm"] = "hf"
    """What samples: `hf` is torch on decoder-only models of `transformers`, `vllm` is vLLM (extra `vllm`), which is made for
    GPUs. Part of the run's identity: each draws chains of its own from a seed."""
    tensor_parallel: int = 1
    """GPUs that share the weights of one worker, with engine=vllm; `gpus` is then as many."""
    gpu_memory: float = 0.9
    """Share of a GPU's memory that a worker with engine=vllm takes for weights and keys, above 0 to 1. Where `gpus` is below 1,
    no more than that, and it is given back whenever nothing is sampled; the learner keeps what it has."""
    workers: int = 2
    """Worker processes. More workers change the speed, not the samples."""
    threads: int = 1
    """CPU threads of each worker."""
    cpus: float = 0.5
    """CPUs that Ray reserves for a worker."""
    gpus: float = 0.0
    """GPUs that Ray reserves for a worker; a fraction shares one with the learner."""
    shard_size: int = 64
    """Problems a piece of work. Part of the run's identity: seeds belong to shards."""
    max_rows: int = 256
    """Chains decoded at once in one worker."""
    restarts: int = 10
    """Workers that died, hung or raised an error, and are replaced, within `restart_window`; one more stops the run."""
    restart_window: float = 600.0
    """Seconds."""
    reward_failures: float = 0.1
    """Share of the chains of one sampling, 0 to 1, for which reward functions may fail: raise, hang beyond their deadline, end
    their process, return what is no number. Those chains are told, counted, and not learnt from. One more stops the run."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluation before and after reinforcement, on the test split, and of checkpoints on the dev split."""

    limit: int | None = None
    """Problems at most; null takes the whole split."""
    dev_limit: int | None = None
    """Problems at most of the dev split."""
    samples: int = 1
    """Sampled chains a problem."""
    temperature: float | None = None
    """Of sampled chains; null means sampling.temperature."""
    top_k: int = 0
    """Sampled chains are drawn from that many likeliest tokens; 0 is all."""
    top_p: float = 1.0
    """Sampled chains are drawn from the fewest likeliest tokens with this share of the probability, above 0 to 1."""
    min_p: float = 0.0
    """Sampled chains are drawn from tokens with at least this share of the likeliest one's probability, 0 to 1."""
    select_on: Literal["dev", "test"] = "dev"
    """The split whose accuracy picks the checkpoint to report. With test, as in ReFT's code, the reported number is the best of
    many on that split: too good."""


@dataclass(frozen=True)
class RerankConfig(ImitationConfig):
    """The classifier by which `reft eval --rerank` picks chains (ReFT, section 4.4), taught with the warm-up's chains."""

    samples_per_prompt: int = 100
    """Chains that the warm-up's checkpoint samples a problem, 1 or more; those with the same text are one (ReFT: 100)."""
    prompts: int | None = None
    """Problems of the train split at most, drawn by the seed; null takes all (ReFT)."""
    epochs: float = 3.0
    """Passes over the chains, above 0 (ReFT: 3)."""
    batch_size: int = 24
    """Chains an optimizer step (mwp_ReFT's script: 24; the paper: 48)."""
    lr: float = 1e-6
    """Peak learning rate (ReFT: 1e-6)."""


@dataclass(frozen=True)
class RunConfig:
    """Where a run leaves its files."""

    dir: str | None = None
    """The run directory; null makes `runs/NAME-HASH`. With several nodes it must be on a file system that all of them see."""
    keep_last: int = 2
    """Checkpoints kept besides the best and the warm-up's."""
    keep_best: int = 1
    """Checkpoints kept for their accuracy on `evaluate.select_on`; the best of them is reported."""


@dataclass(frozen=True)
class RayConfig:
    """The Ray cluster."""

    address: str | None = None
    """`host:port` or `auto` for a cluster that is up; null starts one for this run (or takes RAY_ADDRESS, where it is set)."""
    deadline: float = 1_800.0
    """Seconds that any one wait for a process may take before the run stops and says which."""
    heartbeat: float = 60.0
    """Seconds for which a process at work may be silent before it is held to be frozen, and replaced. Longer than anything may
    hold Python's lock in it."""


@dataclass(frozen=True)
class Config:
    """A whole run. `task` and `algorithm` are the settings of whatever their `use` names."""

    task: Any
    algorithm: Any
    rewards: dict[str, RewardConfig]
    seed: int
    model: ModelConfig
    warmup: WarmupConfig
    self_training: SelfTrainingConfig
    sampling: SamplingConfig
    train: TrainConfig
    curriculum: CurriculumConfig
    learner: LearnerConfig
    rollout: RolloutConfig
    checker: CheckerConfig
    programs: ProgramsConfig
    evaluate: EvaluateConfig
    rerank: RerankConfig
    run: RunConfig
    ray: RayConfig
