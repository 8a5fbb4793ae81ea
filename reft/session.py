"""A run at work: its directory, its processes, and what every stage does with them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reft.assessment import evaluate_policy, plain_reports, sampled_params
from reft.config import ImitationConfig
from reft.errors import DataError, RunError
from reft.evaluate import evaluate
from reft.files import find_damage, is_sealed, move_folder, seal_folder, write_atomically
from reft.gang import RayGang
from reft.growth import growth, growth_by_difficulty
from reft.interrupt import StopRequest
from reft.prepare import Prepared, materialise
from reft.progress import Display
from reft.rollouts import publication, ray_pool
from reft.run import FRESH, WARMUP, RunDirectory
from reft.tasks import Demonstration
from reft.warmup import ImitatorSettings, arrange, row_length, schedule, tokenize
from rollout.pool import Pool
from rollout.ray_pool import RayPool
from rollout.types import Problem
from rollout.work import work_of_text
from rollout.worker import derive_seed


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
            learner, limits = self.config.learner, self.config.ray
            preload = ["reft.imitator", "reft.learner.zero"]
            self._gang = RayGang(
                learner.ranks, learner.cpus, learner.gpus, limits.deadline, limits.heartbeat, "learner", preload
            )
        return self._gang

    def pool(self) -> RayPool:
        """The rollout workers, with the model that the warm-up starts from until something is published."""
        if self._pool is None:
            self._pool = ray_pool(self.config, self.source(), self.display.note)
        return self._pool

    def prestart(self) -> None:
        """Let processes load their libraries side by side. Not where workers and learner share a GPU's memory."""
        self.gang()
        if not self.config.rollout.gpus:
            self.pool()

    def publish(self, checkpoint: str) -> None:
        """Give the workers the weights of a folder or hub id."""
        self.pool().publish(publication(self.config, checkpoint), version=0)

    def test_problems(self) -> Sequence[Problem]:
        """Those that the run reports on."""
        return self.prepared.splits.test[: self.config.evaluate.limit]

    def dev_problems(self) -> Sequence[Problem]:
        """Those of the dev split that the run looks at on the way."""
        return self.prepared.splits.dev[: self.config.evaluate.dev_limit]

    def report(self, file: str, problems: Sequence[Problem], name: str) -> None:
        """Evaluate the published policy and write `eval/FILE.json`, with every chain beside it."""
        reports = evaluate_policy(self.config, self.pool(), problems, name, self.display)
        content = plain_reports(reports, self.prepared.cost)
        samples = [sample for _, samples in reports.values() for sample in samples]
        self.run.write_rows(self.run.path / "eval" / f"{file}.jsonl", samples)
        self.run.write_json(f"eval/{file}.json", content)

    def select(self, pool: Pool) -> Mapping[str, float]:
        """Metrics of the pool's policy on the split whose accuracy picks the checkpoint."""
        config = self.config
        split = config.evaluate.select_on
        problems = self.test_problems() if split == "test" else self.dev_problems()
        reports = evaluate(pool, config.task, problems, sampled_params(config), 1, derive_seed(config.seed, "evaluate", split))
        greedy, (sampled, samples) = reports["greedy"][0], reports["sampled"]
        return {
            f"{split}/greedy": greedy.accuracy.value,
            f"{split}/sampled": sampled.accuracy.value,
            f"{split}/tokens_per_chain": sampled.tokens_per_chain,
            **growth(samples, split),
            **growth_by_difficulty(samples, config.task, split),
        }

    def drop_gang(self) -> None:
        """End the processes of warm-up and learner; they start anew when they are needed again."""
        if self._gang is not None:
            self._gang.close()
        self._gang = None

    def close(self) -> None:
        self.drop_gang()
        if self._pool is not None:
            self.run.state.worker_restarts += self._pool.restarts
            self._pool.close()
        self._pool = None


def imitate(
    session: Session, config: ImitationConfig, demonstrations: Sequence[Demonstration], source: str, name: str, title: str
) -> None:
    """Train the model in `source`, a folder or hub id, on demonstrations, and keep it as the checkpoint `name`. Goes on where
    it was stopped. Its metrics are logged under `name`, and a person sees `title`.

    Raises:
        DataError: if none of them fits into the model.
        KeyboardInterrupt: if somebody asked to stop; what has been learnt is saved.
    """
    settings, run = session.config, session.run
    longest = row_length(config, session.prepared.context)
    with run.phase("startup"):
        corpus, dropped = tokenize(demonstrations, session.prepared.codec, longest)
        if not len(corpus):
            raise DataError(f"no demonstration fits into {longest} tokens, the model's positions or pack_to")
        if dropped:
            session.display.note(f"left out {dropped} demonstrations that do not fit into {longest} tokens")
        rows = arrange(corpus.lengths.tolist(), config, longest)
        shape = schedule(config, len(rows), settings.learner.ranks)
        target, scratch = run.checkpoint(f".{name}.0"), run.checkpoint(f".{name}-trainer")
        imitator = ImitatorSettings(
            source=source,
            target=str(target.absolute()),
            scratch=str(scratch.absolute()),
            corpus=corpus,
            rows=rows,
            config=config,
            ranks=settings.learner.ranks,
            zero=settings.learner.zero,
            threads=settings.learner.threads,
            gpu=settings.learner.gpus > 0,
            bfloat16=settings.model.dtype == "bfloat16",
            seed=derive_seed(settings.seed, name),
        )
        if _discard_other_ranks(scratch, imitator):
            session.display.note(f"{title}: begins anew, since what was saved of it is of other ranks or micro-batches")
        for path in scratch.glob("checkpoint-*"):
            if is_sealed(path) and (damage := find_damage(path)):
                told = f"its checkpoint {path.name} is damaged ({damage}); it goes on from one before, or begins anew"
                session.display.note(f"{title}: {told}")
        session.gang().build(partial(_imitator, settings=imitator))
        run.forget_after(name, 0)  # the trainer tells again what it logged before its last checkpoint
    note = "saving what has been learnt; Ctrl-C again stops at once"
    stop = StopRequest(lambda signal: session.display.note(f"{signal}: {note}"))
    halted = False
    with stop, session.display.bar(title, shape.steps, "step") as bar:

        def show(progress: tuple[int, list[dict[str, float]]]) -> None:
            done, records = progress
            for record in records:
                run.log(name, int(record.pop("step")), record)
            bar.update(done, f"loss {records[-1]['warmup/loss']:.3f}" if records else "")
            nonlocal halted
            if stop.requested and not halted:
                session.gang().tell("halt")
                halted = True

        complete = all(session.gang().watch("run", "progress", 1.0, show))
        if not complete:
            raise stop.interruption()
        run.state.tokens_imitated[name] = round(shape.passes * len(corpus.tokens))
        work = sum(map(work_of_text, corpus.lengths.tolist()), work_of_text(0))
        run.state.flops[name] = session.prepared.cost.learn(work * shape.passes)
        run.save_state()  # a checkpoint that is there has its counters
        seal_folder(target)
        move_folder(target, run.checkpoint(name))
        shutil.rmtree(scratch)
    if stop.requested:
        raise stop.interruption()


def _discard_other_ranks(scratch: Path, settings: ImitatorSettings) -> bool:
    """Delete what other ranks have saved on the way, or other micro-batches, than are wanted now, since order and parts of it
    are theirs. Whether there was such."""
    file = scratch / "ranks.json"
    wanted = {"ranks": settings.ranks, "zero": settings.zero, "micro_batch": settings.config.micro_batch}
    saved = list(scratch.glob("checkpoint-*"))
    other = bool(saved) and file.is_file() and json.loads(file.read_text(encoding="utf-8")) != wanted
    if other:
        for path in saved:
            shutil.rmtree(path)
    scratch.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(wanted) + "\n")
    return other


def _imitator(rank: int, world: int, settings: ImitatorSettings) -> Any:
    from reft.imitator import Imitator  # TRL is imported in the process that works, not where the run is directed

    return Imitator(rank, world, settings)
