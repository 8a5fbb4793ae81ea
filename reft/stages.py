"""The stages of a run, in order: warm-up, readiness, reinforcement, evaluation. Each goes on where it stopped."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM

from reft.assessment import evaluate_policy
from reft.cluster import RayGang, cluster
from reft.errors import DataError, RunError
from reft.evaluate import Report, evaluate
from reft.files import full_disk_named
from reft.interrupt import termination_as_interrupt
from reft.journal import RunJournal
from reft.learner.driver import Learner, UpdateShape
from reft.learner.rank import Rank, RankSettings
from reft.memory import MemoryMeter
from reft.prepare import Prepared, materialise
from reft.progress import Display
from reft.rollouts import ray_pool
from reft.run import RunDirectory, step_name
from reft.summary import summarise_run
from reft.train import Stream, train
from reft.warmup import ImitatorSettings, schedule, tokenize
from rollout.engine import checksum, untied
from rollout.pool import Pool, Publication, RayPool
from rollout.types import Problem, Sample, SamplingParams
from rollout.worker import derive_seed

WARMUP, FRESH = "warmup", "fresh"


class Session:
    """A run directory and the processes at work on it. Processes start when they are first needed, and early where that
    costs nothing.

    Args:
        prepared: the run's inputs.
        run: its directory.
        display: where a person looks.
    """

    def __init__(self, prepared: Prepared, run: RunDirectory, display: Display) -> None:
        self.prepared, self.run, self.display = prepared, run, display
        self.config = prepared.config
        self._gang: RayGang | None = None
        self._pool: RayPool | None = None

    def source(self) -> str:
        """Folder or hub id of the model that the warm-up starts from."""
        if self.config.model.path is not None:
            return self.config.model.path
        if not self.run.has_checkpoint(FRESH):
            self.run.write_checkpoint(FRESH, partial(materialise, self.prepared))
        return str(self.run.checkpoint(FRESH).absolute())

    def start(self) -> str:
        """Folder or hub id of the policy that reinforcement starts from.

        Raises:
            RunError: if it is still to be made.
        """
        if self.run.has_checkpoint(WARMUP):
            return str(self.run.checkpoint(WARMUP).absolute())
        if self.config.warmup.epochs > 0:
            raise RunError(f"{self.run.path} has no warm-up checkpoint; run `reft warmup` first, or `reft run` for all")
        return self.source()

    def gang(self) -> RayGang:
        """The processes of warm-up and learner."""
        if self._gang is None:
            learner = self.config.learner
            preload = ["reft.imitator", "reft.learner.zero"]
            self._gang = RayGang(learner.ranks, learner.cpus, learner.gpus, self.config.ray.deadline, "learner", preload)
        return self._gang

    def pool(self) -> RayPool:
        """The rollout workers, with the model that the warm-up starts from until something is published."""
        if self._pool is None:
            self._pool = ray_pool(self.config, self.source())
        return self._pool

    def prestart(self) -> None:
        """Let processes load their libraries side by side. Not where workers and learner share a GPU's memory."""
        self.gang()
        if not self.config.rollout.gpus:
            self.pool()

    def publish(self, checkpoint: str) -> None:
        """Give the workers the weights of a folder or hub id."""
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=self.config.model.dtype)
        state = untied(model.state_dict())
        self.pool().publish(Publication(state, checksum(state)), version=0)

    def close(self) -> None:
        for part in (self._gang, self._pool):
            if part is not None:
                part.close()
        self._gang = self._pool = None


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
        # Ray has a way of its own with this signal, so it is taken back behind its start.
        processes.enter_context(termination_as_interrupt())
        with RunDirectory(directory, prepared.composed) as run:
            session = Session(prepared, run, display)
            run.state.seconds["startup"] = run.state.seconds.get("startup", 0.0) + started + time.monotonic() - begun
            try:
                complete = _do_stages(session, wanted)
            finally:
                session.close()
                run.state.peak_memory_bytes = max(run.state.peak_memory_bytes, meter.peak_bytes)
            with run.phase("startup"):
                processes.close()  # what ends Ray belongs to the run's time as well
            return summarise_run(run, prepared.composed) if complete else None


def _do_stages(session: Session, wanted: Sequence[str]) -> bool:
    """Do the wanted stages; false if somebody asked to stop before they were complete."""
    with session.run.phase("startup"):
        session.prestart()
    if "warmup" in wanted:
        warm_up(session)
        assess_warmup(session)
    if "reinforce" in wanted:
        if not reinforce(session):
            return False
        assess_reinforced(session)
    return True


def warm_up(session: Session) -> None:
    """Imitate the demonstrations, unless that is done or not wanted."""
    config, run = session.config, session.run
    if run.has_checkpoint(WARMUP) or config.warmup.epochs == 0:
        return
    with run.phase("startup"):
        corpus, dropped = tokenize(session.prepared.demonstrations, session.prepared.codec, session.prepared.context)
        if not len(corpus):
            raise DataError(f"no demonstration fits into the model's {session.prepared.context} positions")
        if dropped:
            session.display.note(f"left out {dropped} demonstrations that do not fit into {session.prepared.context} positions")
        shape = schedule(config.warmup, len(corpus), config.learner.ranks)
        scratch = run.checkpoint(".trainer")
        target = run.checkpoint(f".{WARMUP}.0")
        settings = ImitatorSettings(
            source=session.source(),
            target=str(target.absolute()),
            scratch=str(scratch.absolute()),
            corpus=corpus,
            config=config.warmup,
            ranks=config.learner.ranks,
            threads=config.learner.threads,
            gpu=config.learner.gpus > 0,
            bfloat16=config.model.dtype == "bfloat16",
            seed=derive_seed(config.seed, "warmup"),
        )
        session.gang().build(partial(_imitator, settings=settings))
    with run.phase("warmup"), session.display.bar("warm-up", shape.steps, "step") as bar:

        def show(progress: tuple[int, list[dict[str, float]]]) -> None:
            done, records = progress
            for record in records:
                run.log("warmup", int(record.pop("step")), record)
            bar.update(done, f"loss {records[-1]['warmup/loss']:.3f}" if records else "")

        session.gang().watch("run", "progress", 1.0, show)
        target.rename(run.checkpoint(WARMUP))


def assess_warmup(session: Session) -> None:
    """Evaluate the start of reinforcement on test, and on dev whether it is ready."""
    run, config = session.run, session.config
    if run.read_json("eval/warmup.json") is None:
        with run.phase("startup"):
            session.publish(session.start())
        with run.phase("evaluate"):
            dev = session.prepared.splits.dev[: config.evaluate.dev_limit]
            _write_report(session, "readiness", _reports(session, dev, "readiness"))
            _write_report(session, "warmup", _reports(session, _test(session), "test"))
    content = run.read_json("eval/readiness.json")
    assert content is not None
    valid, bar = content["sampled"]["valid"], config.warmup.ready_at
    if config.train.steps and bar is not None and (valid is None or valid < bar) and not config.warmup.force:
        raise RunError(
            f"the warm-up is not ready: {0.0 if valid is None else valid:.3f} of its sampled dev chains are valid, less than "
            f"warmup.ready_at={bar:g}; raise warmup.epochs (with a new run.dir), or set warmup.force=true to go on"
        )


def reinforce(session: Session) -> bool:
    """Run the loop from the last checkpoint on; true if it came to its end."""
    config, run = session.config, session.run
    saved = run.steps_saved()
    if config.train.steps == 0 or (saved and saved[-1] >= config.train.steps):
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
    judges = [name for name, reward in config.rewards.items() if reward.is_judge]
    journal = RunJournal(
        run,
        session.display,
        config.train,
        config.run.keep_last,
        partial(_evaluate_selection, session),
        config.evaluate.select_on,
        judges,
    )
    problems = Stream(session.prepared.splits.train, config.train.prompts, derive_seed(config.seed, "stream"))
    with run.phase("reinforce"):
        train(
            problems, config.task, config.algorithm, learner, session.pool(), journal,
            config.train, config.sampling, config.seed,
        )  # fmt: skip
    if journal.stopped_at is not None:
        session.display.note(f"stopped behind step {journal.stopped_at} of {config.train.steps}, saved")
    return journal.stopped_at is None


def assess_reinforced(session: Session) -> None:
    """Evaluate the best checkpoint on test."""
    run, config = session.run, session.config
    if config.train.steps and run.read_json("eval/reinforced.json") is None:
        best = run.state.best_step if run.state.best_step in run.steps_saved() else run.steps_saved()[-1]
        with run.phase("startup"):
            session.publish(str(run.checkpoint(step_name(best))))
        run.state.best_step = best
        with run.phase("evaluate"):
            _write_report(session, "reinforced", _reports(session, _test(session), "test"))


def _imitator(rank: int, world: int, settings: ImitatorSettings) -> Any:
    from reft.imitator import Imitator  # TRL is imported in the process that works, not where the run is directed

    return Imitator(rank, world, settings)


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


def _test(session: Session) -> Sequence[Problem]:
    return session.prepared.splits.test[: session.config.evaluate.limit]


def _reports(session: Session, problems: Sequence[Problem], name: str) -> dict[str, tuple[Report, list[Sample]]]:
    """Reports on the published policy."""
    return evaluate_policy(session.config, session.pool(), problems, name, session.display)


def _evaluate_selection(session: Session, pool: Pool) -> Mapping[str, float]:
    """Metrics on the split whose accuracy picks the checkpoint."""
    config = session.config
    split = config.evaluate.select_on
    limits = {"dev": config.evaluate.dev_limit, "test": config.evaluate.limit}
    problems = vars(session.prepared.splits)[split][: limits[split]]
    params = SamplingParams(config.sampling.temperature, config.sampling.max_tokens)
    reports = evaluate(pool, config.task, problems, params, 1, derive_seed(config.seed, "evaluate", split))
    greedy, sampled = reports["greedy"][0], reports["sampled"][0]
    return {
        f"{split}/greedy": greedy.accuracy.value,
        f"{split}/sampled": sampled.accuracy.value,
        f"{split}/tokens_per_chain": sampled.tokens_per_chain,
    }


def _write_report(session: Session, name: str, reports: Mapping[str, tuple[Report, list[Sample]]]) -> None:
    run = session.run
    content: dict[str, Any] = {mode: report.plain() for mode, (report, _) in reports.items()}
    run.write_rows(run.path / "eval" / f"{name}.jsonl", [sample for _, samples in reports.values() for sample in samples])
    run.write_json(f"eval/{name}.json", content)
