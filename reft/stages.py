"""The stages of a run, in order: warm-up, readiness, reinforcement, evaluation. Each goes on where it stopped."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from reft.cluster import cluster
from reft.curriculum import Curriculum
from reft.errors import LostProcessError, RunError
from reft.files import full_disk_named, is_sealed
from reft.interrupt import Terminated
from reft.journal import RunJournal
from reft.learner.driver import Learner, UpdateShape
from reft.learner.rank import Rank, RankSettings
from reft.memory import MemoryMeter
from reft.meter import NOTHING, Meter
from reft.prepare import Prepared, plain
from reft.progress import Display
from reft.run import FRESH, WARMUP, RunDirectory, round_name, step_name
from reft.self_training import PHASE, best_round, rank_rounds, self_train
from reft.session import Session, imitate
from reft.summary import summarise_run
from reft.train import Stream, train
from reft.warmup import as_samples
from rollout.worker import derive_seed


def run_stages(
    prepared: Prepared, directory: Path, display: Display, wanted: Sequence[str], started: float
) -> dict[str, Any] | None:
    """Do the wanted stages ("warmup", "reinforce") with the evaluation behind each; the summary, or None if somebody
    asked to stop before they were complete.

    Args:
        started: seconds since this process began, to be counted as start-up.
    """
    config = prepared.config
    cpus = config.learner.ranks * config.learner.cpus + config.rollout.workers * config.rollout.cpus
    gpus = config.learner.ranks * config.learner.gpus + config.rollout.workers * config.rollout.gpus
    begun = time.monotonic()
    with full_disk_named(directory), ExitStack() as processes:
        meter = processes.enter_context(MemoryMeter())
        processes.enter_context(cluster(config.ray, cpus, gpus))
        with RunDirectory(directory, prepared.composed) as run:
            session = Session(prepared, run, display)
            run.state.seconds["startup"] = run.state.seconds.get("startup", 0.0) + started + time.monotonic() - begun
            try:
                complete = _outlive(session, wanted)
            finally:
                session.close()
                run.state.peak_memory_bytes = max(run.state.peak_memory_bytes, meter.peak_bytes)
            if complete:
                summarise_run(run, prepared.composed)  # it is done, however Ray ends
            with run.phase("startup"):
                processes.close()  # what ends Ray belongs to the run's time as well
            return summarise_run(run, prepared.composed) if complete else None


def _outlive(session: Session, wanted: Sequence[str]) -> bool:
    """Do the wanted stages though processes of the learner are lost on the way: each time from what has been saved.

    Raises:
        LostProcessError: if that has happened too often, with nothing new saved in between.
    """
    saved, lost = _saved(session.run), 0
    while True:
        try:
            return _do_stages(session, wanted)
        except LostProcessError as error:
            session.drop_gang()
            now = _saved(session.run)
            saved, lost = saved | now, 1 if now - saved else lost + 1
            if lost > session.config.learner.restarts:
                raise
            session.run.state.learner_restarts += 1
            session.display.note(f"{error}; starting its processes again, from what is saved")


def _saved(run: RunDirectory) -> set[str]:
    """Names of all checkpoints that are whole, those of a training that is under way included."""
    folders = [path.relative_to(run.path).as_posix() for path in run.path.glob("checkpoints/**/*") if is_sealed(path)]
    return {folder for folder in folders if not folder.startswith("checkpoints/damaged_")}


def set_aside_damaged(session: Session) -> None:
    """Rename checkpoints that the run would go on from and that are damaged, so that what they held is made again."""
    run = session.run
    steps = [step_name(step) for step in reversed(run.steps_saved())]
    rounds = [round_name(number) for number in reversed(run.rounds_saved())]
    for names in ([FRESH], [WARMUP], steps, rounds):
        for name in names:
            if not run.checkpoint(name).is_dir():
                continue
            if (damage := run.set_aside(name)) is None:
                break  # those before it are not needed
            session.display.note(f"checkpoint {name} is damaged ({damage}); it is now damaged_{name}, and made again")
            if names is rounds:
                run.forget_after(PHASE, int(name.removeprefix("round_")) - 1)


def _do_stages(session: Session, wanted: Sequence[str]) -> bool:
    """Do the wanted stages, where "reinforce" stands for whatever comes behind the warm-up; false if somebody asked to stop
    before they were complete."""
    with session.run.phase("startup"):
        set_aside_damaged(session)
        session.prestart()
    if "warmup" in wanted:
        warm_up(session)
        assess_warmup(session)
    if "reinforce" in wanted:
        if not reinforce(session):
            return False
        assess_reinforced(session)
        self_train(session)
        assess_self_trained(session)
    return True


def warm_up(session: Session) -> None:
    """Imitate the demonstrations, unless that is done or not wanted."""
    config = session.config
    if not session.run.has_checkpoint(WARMUP) and config.warmup.epochs > 0:
        with session.run.phase("warmup"):
            imitate(session, config.warmup, session.prepared.demonstrations, session.source(), WARMUP, "warm-up")


def assess_warmup(session: Session) -> None:
    """Evaluate the start of reinforcement on test, and on dev whether it is ready."""
    run, config = session.run, session.config
    if run.read_json("eval/warmup.json") is None:
        with run.phase("startup"):
            session.publish(session.start())
        with run.phase("evaluate"):
            session.report("readiness", session.dev_problems(), "readiness")
            session.report("warmup", session.test_problems(), "test")
    content = run.read_json("eval/readiness.json")
    assert content is not None
    valid, bar = content["sampled"]["valid"], config.warmup.ready_at
    follows = config.train.steps or config.self_training.rounds
    if follows and bar is not None and (valid is None or valid < bar) and not config.warmup.force:
        raise RunError(
            f"the warm-up is not ready: {0.0 if valid is None else valid:.3f} of its sampled dev chains are valid, less than "
            f"warmup.ready_at={bar:g}; raise warmup.epochs (with a new run.dir), or set warmup.force=true to go on"
        )


def reinforce(session: Session) -> bool:
    """Run the loop from the last checkpoint on; true if it came to its end."""
    config, run = session.config, session.run
    saved = run.steps_saved()
    if config.train.steps == 0:
        return True
    judges = [name for name, reward in config.rewards.items() if reward.is_judge]
    journal = RunJournal(
        run,
        session.display,
        config.train,
        config.run.keep_last,
        session.select,
        config.evaluate.select_on,
        judges,
        config.run.keep_best,
        Meter(
            session.prepared.cost,
            session.prepared.cost if config.algorithm.has_critic and config.model.critic == "separate" else NOTHING,
            config.algorithm.epochs,
        ),
    )
    if saved and saved[-1] >= config.train.steps:
        journal.recount()  # whoever wrote the last checkpoint may have been killed before it told what it counted
        return True
    with run.phase("startup"):
        start = session.start()
        settings = RankSettings(
            policy=start,
            reference=start,
            model=config.model,
            learner=config.learner,
            algorithm=config.algorithm,
            temperature=config.sampling.temperature,
            seed=derive_seed(config.seed, "learner"),
        )
        session.gang().build(partial(Rank, settings=settings))
        learner = Learner(session.gang(), _update_shape(session))
        if saved:
            learner.load(run.checkpoint(step_name(saved[-1])))
        session.pool().publish(learner.weights(), version=saved[-1] if saved else 0)
    with run.phase("reinforce"):
        train(
            _stream(session.prepared), config.task, config.algorithm, learner, session.pool(), journal,
            config.train, config.sampling, config.seed,
        )  # fmt: skip
    if journal.terminated:
        raise Terminated
    if journal.stopped_at is not None:
        session.display.note(f"stopped behind step {journal.stopped_at} of {config.train.steps}, saved")
    return journal.stopped_at is None


def assess_reinforced(session: Session) -> None:
    """Evaluate the best checkpoint on test."""
    run, config = session.run, session.config
    if config.train.steps and run.read_json("eval/reinforced.json") is None:
        best = run.state.best_step if run.state.best_step in run.steps_saved() else run.steps_saved()[-1]
        if damage := run.set_aside(step_name(best)):
            session.display.note(f"the best checkpoint, {step_name(best)}, is damaged ({damage}); the last one is evaluated")
            best = run.steps_saved()[-1]
        with run.phase("startup"):
            session.publish(str(run.checkpoint(step_name(best))))
        run.state.best_step = best
        with run.phase("evaluate"):
            session.report("reinforced", session.test_problems(), "test")


def assess_self_trained(session: Session) -> None:
    """Evaluate the best round on test."""
    run = session.run
    best = best_round(session)
    if best is not None and run.read_json("eval/self_trained.json") is None:
        while damage := run.set_aside(round_name(best)):
            left = [number for number in rank_rounds(session) if number in run.rounds_saved()]
            if not left:
                raise RunError(f"checkpoint {round_name(best)} is damaged ({damage}), and there is no other round's")
            session.display.note(f"the best round, {best}, is damaged ({damage}); round {left[0]} is evaluated")
            best = left[0]
        with run.phase("startup"):
            session.publish(str(run.checkpoint(round_name(best)).absolute()))
        run.state.best_step = best
        with run.phase("evaluate"):
            session.report("self_trained", session.test_problems(), "test")


def _stream(prepared: Prepared) -> Stream:
    """The loop's problems: all of the training split, or those that a curriculum has a demonstration for; and what is imitated
    with them."""
    config, train = prepared.config, prepared.splits.train
    seed = derive_seed(config.seed, "stream")
    demonstrations = plain(prepared.demonstrations, train) if config.algorithm.imitates else []
    shown = as_samples(demonstrations, prepared.codec, prepared.context)
    if prepared.cuttable is None:
        return Stream(train, config.train.prompts, seed, shown)
    return Curriculum(train, prepared.cuttable.chains, config.train.prompts, config.curriculum, seed, shown)


def _update_shape(session: Session) -> UpdateShape:
    config = session.config
    return UpdateShape(
        epochs=config.algorithm.epochs,
        minibatches=config.algorithm.minibatches,
        micro_batch=config.learner.micro_batch,
        schedule=config.learner.schedule,
        warmup_steps=config.learner.warmup_steps,
        critic_warmup=config.learner.critic_warmup,
        steps=config.train.steps,
        stop_kl=config.algorithm.stop_kl,
        lr=config.learner.lr,
        dtype=config.model.dtype,
        seed=config.seed,
    )
