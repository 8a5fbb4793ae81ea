"""The arithmetic of a run: what a config means in problems, steps, tokens and bytes, before anything is started."""

from reft.model import parameter_count
from reft.prepare import Prepared
from reft.warmup import Schedule, arrange, row_length, schedule, tokenize

STATE_BYTES = {"float32": 4 + 4 + 8, "bfloat16": 2 + 4 + 4 + 8}
"""Bytes a weight of the learner takes: the weight, its gradient, Adam's two moments, and a float32 master of a bfloat16 one."""


def headline(prepared: Prepared) -> str:
    """The inputs of a run in one line."""
    splits, task = prepared.splits, prepared.composed.settings["task"]["use"]
    model = prepared.config.model.path or f"fresh {prepared.config.model.architecture}"
    counts = f"{len(splits.train):,} train, {len(splits.dev):,} dev, {len(splits.test):,} test problems"
    left_out = f" ({prepared.too_long:,} left out: longer than {prepared.context} positions)" if prepared.too_long else ""
    if prepared.unreadable:
        left_out += f" ({prepared.unreadable:,} known answers can be compared by their text alone)"
    if prepared.cuttable is not None:
        cuttable = prepared.cuttable
        left_out += (
            f"; curriculum: {cuttable.count:,} of {cuttable.looked_at:,} demonstrations are right and not too long, "
            f"and {len(cuttable.chains):,} train problems have one"
        )
    return f"task {task}: {counts}{left_out}; {model}, {_count(parameter_count(prepared.model_config))} weights"


def arithmetic(prepared: Prepared) -> str:
    """The plan of a run, a line a fact."""
    config = prepared.config
    lines = [headline(prepared), ""]
    if config.warmup.epochs:
        longest = row_length(config.warmup, prepared.context)
        corpus, dropped = tokenize(prepared.demonstrations, prepared.codec, longest)
        rows = arrange(corpus.lengths.tolist(), config.warmup, longest)
        shape = schedule(config.warmup, len(rows), config.learner.ranks)
        lines += _warmup_lines(shape, len(corpus), dropped, prepared)
        lines.append(f"           {corpus.lengths.mean():.1f} tokens each, {int(corpus.lengths.max())} the longest")
    else:
        lines.append("warm-up    none")
    lines += [*_stop_lines(prepared), *_reinforce_lines(prepared), *_evaluate_lines(prepared), *_memory_lines(prepared), ""]
    lines.append(f"config hash {prepared.composed.hash()}")
    return "\n".join(lines)


def _warmup_lines(shape: Schedule, rows: int, dropped: int, prepared: Prepared) -> list[str]:
    config = prepared.config.warmup
    left_out = f" ({dropped:,} left out as too long)" if dropped else ""
    return [
        f"warm-up    {rows:,} demonstrations{left_out} × {config.epochs:g} epochs, {config.batch_size} a step "
        f"→ {shape.steps:,} optimizer steps",
        f"           learning rate laid out for {shape.horizon:,} steps, peak {config.lr:g}",
    ]


def _stop_lines(prepared: Prepared) -> list[str]:
    stop, shown = prepared.config.sampling.stop, prepared.demonstrations
    if not stop:
        return []
    longer = sum(any(chain.partition(text)[2] for text in stop) for chain in (one.chain for one in shown))
    going_on = f"; {longer:,} of {len(shown):,} demonstrations go on behind one" if shown else ""
    return [f"stop       sampled chains end at {', '.join(map(repr, stop))} too{going_on}"]


def _reinforce_lines(prepared: Prepared) -> list[str]:
    config = prepared.config
    train, algorithm = config.train, config.algorithm
    chains = train.prompts * train.samples_per_prompt
    updates = train.steps * algorithm.epochs * algorithm.minibatches
    again = f" (× {train.rounds} at most)" if train.rounds > 1 else ""
    problems = prepared.splits.train if prepared.cuttable is None else prepared.cuttable.chains
    passes = train.steps * train.prompts / len(problems)
    if config.self_training.rounds:
        return _self_training_lines(prepared)
    return [
        f"reinforce  {train.steps} steps × {train.prompts} prompts × {train.samples_per_prompt} samples{again} "
        f"→ {train.steps * chains:,} chains ({passes:.1f} passes over the problems)",
        f"           at most {train.steps * chains * config.sampling.max_tokens:,} tokens sampled",
        f"           × {algorithm.epochs} epochs × {algorithm.minibatches} minibatches → {updates:,} optimizer steps "
        f"of {chains // algorithm.minibatches:,} chains, peak learning rate {config.learner.lr:g}",
    ]


def _self_training_lines(prepared: Prepared) -> list[str]:
    config = prepared.config.self_training
    problems = min(config.prompts or len(prepared.splits.train), len(prepared.splits.train))
    chains = problems * config.samples_per_prompt
    most = config.rounds * chains * (2 if config.rationalize else 1)
    again = f", and as many again at most with a hint (of {config.rationalize:.0%} of what is not solved)"
    grown = f", {config.growth:g} times as many each round" if config.growth > 1 else ""
    return [
        f"self-train {config.rounds} rounds × {problems:,} prompts × {config.samples_per_prompt} samples "
        f"→ {config.rounds * chains:,} chains{again if config.rationalize else ''}",
        f"           at most {most * prepared.config.sampling.max_tokens:,} tokens sampled",
        f"           × {config.epochs:g} epochs of what is kept{grown}, {config.batch_size} a step, "
        f"peak learning rate {config.lr:g}",
    ]


def _evaluate_lines(prepared: Prepared) -> list[str]:
    config, splits = prepared.config, prepared.splits
    test, dev = splits.test[: config.evaluate.limit], splits.dev[: config.evaluate.dev_limit]
    times = config.self_training.rounds or -(-config.train.steps // config.train.eval_every)
    return [
        f"evaluate   {len(test):,} test problems × (1 greedy + {config.evaluate.samples} sampled), before and after",
        f"           {len(dev):,} dev problems × 2, {times} times on the way",
    ]


def _memory_lines(prepared: Prepared) -> list[str]:
    config = prepared.config
    weights = parameter_count(prepared.model_config)
    copies = 2 if config.model.critic == "separate" else 1
    divided = config.learner.ranks if config.learner.zero else 1
    state = weights * copies * STATE_BYTES[config.model.dtype]
    plain = weights * (4 if config.model.dtype == "float32" else 2)
    return [
        f"memory     weights, gradients and optimizer {_bytes(state)} over {divided} rank{'s' * (divided > 1)}"
        + (f" (ZeRO {config.learner.zero} divides part of it)" if divided > 1 else ""),
        f"           reference {_bytes(plain)} a rank; sampler {_bytes(plain)} × {config.rollout.workers} workers; "
        "activations and caches come on top",
    ]


def _count(number: int) -> str:
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
