"""Self-training: rounds of sampling from the policy, keeping the chains that are right, and imitating them.

One recipe, told apart by its settings (`self_training` in a config):

    STaR (arXiv 2203.14465)            one chain a problem, every round from the model before the warm-up, as many as wanted;
                                       problems without a right chain once more with a hint of the answer (rationalize: 1)
    RFT (arXiv 2308.01825)             one round of many chains, those with different equations, with the demonstrations
    ReST-EM (arXiv 2312.06585)         32 chains a problem and 10 kept, from the model before the warm-up, until dev falls
    offline self-training (ReFT,       one round of 100 chains, 10 different ones kept, with the demonstrations
    arXiv 2401.08967, section 4.2)
    supervised, further                rounds of the demonstrations alone (samples_per_prompt: 0), to hold the others against

A round leaves `rounds/round_NNN.json`, its counts; `round_NNN-kept.jsonl` and `-rationalized.jsonl`, what was imitated; and
`round_NNN-wrong.jsonl`, from which a verifier can learn (V-STaR, arXiv 2402.06457).
"""

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reft.config import SelfTrainingConfig
from reft.errors import RunError
from reft.files import remove_folder
from reft.journal import selection_note
from reft.rationalization import check_hints, check_stored, is_marked, marks_of, without_hints
from reft.rollouts import sampling_params
from reft.run import round_name
from reft.selection import keep, right_and_whole
from reft.session import Session, imitate
from reft.tasks import Demonstration, Hint
from reft.train import Stream
from rollout.types import Problem, Sample
from rollout.work import Work, work_of_sampling
from rollout.worker import derive_seed

PHASE = "self_training"
STORED = ("kept", "rationalized")
"""Files of a round whose chains are imitated."""


def self_train(session: Session) -> None:
    """Do the rounds that are still to be done.

    Raises:
        RunError: if no chain of a round is right.
    """
    settings, run = session.config.self_training, session.run
    while (number := len(run.rows(PHASE)) + 1) <= settings.rounds:
        behind = number - 1 - (best_round(session, first=True) or 0)
        if settings.patience is not None and behind > settings.patience:
            session.display.note(f"stopped behind round {number - 1}: no better accuracy for {behind} rounds")
            return
        _do_round(session, settings, number)


def best_round(session: Session, first: bool = False) -> int | None:
    """The round whose accuracy (mean of greedy and sampled) is the best, the last of several or their first; None before any is
    done."""
    return next(iter(rank_rounds(session, first)), None)


def rank_rounds(session: Session, first: bool = False) -> list[int]:
    """The rounds that are done, the best before others; of those that are as good, the last or the first before others."""
    split = session.config.evaluate.select_on
    values = [row[f"{split}/greedy"] + row[f"{split}/sampled"] for row in session.run.rows(PHASE)]
    return sorted(range(1, len(values) + 1), key=lambda at: (values[at - 1], -at if first else at), reverse=True)


def _do_round(session: Session, settings: SelfTrainingConfig, number: int) -> None:
    """Sample, keep, imitate, evaluate: each once, though the run be stopped between them and taken up again."""
    run, name = session.run, round_name(number)
    if not run.has_checkpoint(name):
        if settings.samples_per_prompt and run.read_json(f"rounds/{name}.json") is None:
            _sample(session, settings, number)
        grown = settings.growth ** (number - 1)
        laid_out = settings.schedule_epochs and settings.schedule_epochs * grown
        schedule = replace(settings, epochs=settings.epochs * grown, schedule_epochs=laid_out)
        with run.phase(PHASE):
            chains = _demonstrations(session, number)
            imitate(session, schedule, chains, source(session, number), name, f"round {number}: imitate")
    with run.phase("startup"):
        session.publish(str(run.checkpoint(name).absolute()))
    with run.phase("evaluate"):
        metrics = session.select(session.pool())
    faults = session.pool().drain_faults()
    counts = run.read_json(f"rounds/{name}.json") or {}
    flops = _count(session, [*run.rows(PHASE), counts])
    run.log(PHASE, number, {**counts, **metrics, **faults, "compute/flops": flops})
    run.state.tokens_sampled = int(sum(row.get("round/tokens", 0) for row in run.rows(PHASE)))
    session.display.note(selection_note(f"round {number:3d}", session.config.evaluate.select_on, metrics))
    prune(session, number)


def _count(session: Session, rows: Sequence[Mapping[str, float]]) -> float:
    """Note the operations of sampling in these rounds; all of training so far."""
    work = Work(*(sum(row.get(f"round/computed_{what}", 0) for row in rows) for what in ("tokens", "pairs")))
    session.run.state.flops[PHASE] = session.prepared.cost.forward(work)
    return sum(session.run.state.flops.values())


def prune(session: Session, number: int) -> None:
    """Delete the checkpoints of rounds up to `number` but the last few and the best, as `run` says."""
    keep = session.config.run
    kept = {*range(number + 1 - keep.keep_last, number + 1), *rank_rounds(session)[: keep.keep_best]}
    for old in range(1, number):
        if old not in kept and session.run.checkpoint(round_name(old)).exists():
            remove_folder(session.run.checkpoint(round_name(old)))


def _sample(session: Session, settings: SelfTrainingConfig, number: int) -> None:
    """Sample chains for the round's problems and write down which are kept and which were wrong."""
    run, name = session.run, round_name(number)
    problems = _problems(session, settings, number)
    with run.phase("startup"):
        session.publish(_previous(session, number))
    with run.phase(PHASE):
        samples = _draw(session, problems, number, "sample")
        hints = _hints(session, problems, samples, number)
        marks = _marks(session, hints)
        hinted = _rationalize(session, problems, hints, marks, number)
    clean = [sample for sample in samples if not is_marked(sample, marks)]  # one may speak of a hint though it had none
    kept = keep(clean, settings.distinct, settings.cap, settings.least_distance)
    quoted = [sample for sample, quotes in hinted if quotes]
    rationalized = keep(
        [sample for sample, quotes in hinted if not quotes], settings.distinct, settings.cap, settings.least_distance
    )
    wrong = [sample for sample in clean if sample.verdict.outcome in ("different", "no_answer")]  # undecided is neither
    check_stored([*kept, *rationalized, *wrong], hints, marks)
    counts = _counts(problems, samples, kept, [sample for sample, _ in hinted], rationalized)
    counts["round/quoted"] = len(quoted) + len(samples) - len(clean)
    if not kept and not rationalized:
        share = sum(map(right_and_whole, samples)) / len(samples)
        raise RunError(
            f"round {number}: {share:.3f} of {len(samples)} sampled chains are right and whole, so there is nothing to "
            f"imitate{_lost(quoted)}; raise warmup.epochs, self_training.samples_per_prompt or sampling.max_tokens (with a new "
            "run.dir)"
        )
    for kind, rows in (("kept", kept), ("rationalized", rationalized), ("wrong", wrong)):
        run.write_rows(run.path / "rounds" / f"{name}-{kind}.jsonl", rows)
    run.write_json(f"rounds/{name}.json", counts)


def _problems(session: Session, settings: SelfTrainingConfig, number: int) -> list[Problem]:
    """The problems of a round, each once; where it spans two passes over them, others stand in for those met twice."""
    train = session.prepared.splits.train
    size = min(settings.prompts or len(train), len(train))
    stream = Stream(train, size, derive_seed(session.config.seed, PHASE))
    found: dict[str, Problem] = {}
    for attempt in itertools.count():
        found |= {problem.id: problem for problem in stream.batch(number - 1, attempt)}
        if len(found) >= size:
            break
    return list(found.values())[:size]


def _lost(quoted: Sequence[Sample]) -> str:
    right = sum(map(right_and_whole, quoted))
    return f" ({right} more quote their hint, see task.hint)" if right else ""


def _hints(session: Session, problems: Sequence[Problem], samples: Sequence[Sample], number: int) -> dict[str, Hint]:
    """Hints, by problem, for a share of the problems that `samples` do not solve."""
    share = session.config.self_training.rationalize
    solved = {sample.problem.id for sample in samples if right_and_whole(sample)}
    generator = random.Random(derive_seed(session.config.seed, PHASE, number, "rationalize"))
    unsolved = [problem for problem in problems if problem.id not in solved and generator.random() < share]
    return {problem.id: session.config.task.hinted(problem) for problem in unsolved}


def _marks(session: Session, hints: Mapping[str, Hint]) -> frozenset[str]:
    """Words that a round's hints have and neither its problems nor the demonstrations."""
    shown = (demonstration.chain for demonstration in session.prepared.demonstrations)
    asked = (problem.prompt for problem in session.prepared.splits.train)
    return marks_of(hints.values(), itertools.chain(asked, shown))


def _rationalize(
    session: Session, problems: Sequence[Problem], hints: Mapping[str, Hint], marks: frozenset[str], number: int
) -> list[tuple[Sample, bool]]:
    """Samples of the problems that have a hint, drawn with it and told of without it; whether each quotes it."""
    unsolved = [problem for problem in problems if problem.id in hints]
    if not unsolved:
        return []
    check_hints(unsolved, hints)
    told = [replace(problem, prompt=hints[problem.id].prompt) for problem in unsolved]
    return without_hints(_draw(session, told, number, "rationalize"), unsolved, hints, marks)


def _draw(session: Session, problems: Sequence[Problem], number: int, purpose: str) -> list[Sample]:
    config, n = session.config, session.config.self_training.samples_per_prompt
    params = sampling_params(config.sampling, config.self_training.temperature)
    seed = derive_seed(config.seed, PHASE, number, *([] if purpose == "sample" else [purpose]))
    with session.display.bar(f"round {number}: {purpose}", len(problems) * n, "chain") as bar:
        return session.pool().sample(problems, n, params, seed, lambda done, _: bar.update(done))


def _counts(
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    kept: Sequence[Sample],
    hinted: Sequence[Sample],
    rationalized: Sequence[Sample],
) -> dict[str, float]:
    solved = {sample.problem.id for sample in samples if right_and_whole(sample)}
    stored = [*kept, *rationalized]
    sampling = work_of_sampling(sample.completion for sample in [*samples, *hinted])
    return {
        "round/problems": len(problems),
        "round/samples": len(samples),
        "round/right": sum(sample.verdict.correct for sample in samples) / len(samples),
        "round/solved": len(solved) / len(problems),
        "round/hinted": len(hinted),
        "round/reached": len({sample.problem.id for sample in stored}) / len(problems),
        "round/kept": len(kept),
        "round/rationalized": len(rationalized),
        "round/rejected": len(samples) + len(hinted) - len(stored),
        "round/kept_tokens": sum(len(sample.completion.tokens) for sample in stored) / max(len(stored), 1),
        "round/tokens": sum(len(sample.completion.tokens) for sample in [*samples, *hinted]),
        "round/prompt_tokens": sum(len(sample.completion.prompt_tokens) for sample in [*samples, *hinted]),
        "round/computed_tokens": sampling.tokens,
        "round/computed_pairs": sampling.pairs,
    }


def _demonstrations(session: Session, number: int) -> list[Demonstration]:
    """What a round imitates: the chains that it kept, and the demonstrations where they belong to it, but for those that are
    among the kept (as mwp_ReFT's train_sl_model.py has it)."""
    problems = {problem.id: problem for problem in session.prepared.splits.train}
    name, rows = round_name(number), []
    for kind in STORED if session.config.self_training.samples_per_prompt else ():
        with (session.run.path / "rounds" / f"{name}-{kind}.jsonl").open(encoding="utf-8", newline="\n") as file:
            rows += [json.loads(line) for line in file]
    shown = session.prepared.demonstrations if session.config.self_training.demonstrations else []
    kept = [Demonstration(problems[row["problem"]], row["chain"]) for row in rows]
    there = {(demonstration.problem.id, demonstration.chain) for demonstration in kept}
    return [*kept, *(demonstration for demonstration in shown if (demonstration.problem.id, demonstration.chain) not in there)]


def source(session: Session, number: int) -> str:
    """The model that a round's imitation starts from."""
    match session.config.self_training.start:
        case "base":
            return session.source()
        case "warmup":
            return session.start()
    return _previous(session, number)


def _previous(session: Session, number: int) -> str:
    """The policy that a round begins with."""
    return session.start() if number == 1 else str(session.run.checkpoint(round_name(number - 1)).absolute())
