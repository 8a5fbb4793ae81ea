"""The loop's surroundings in a real run: resume, times, progress, evaluation on dev, checkpoints, and the wish to stop."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from reft.config import TrainConfig
from reft.errors import RunError
from reft.interrupt import StopRequest
from reft.learner.driver import Learner
from reft.meter import Meter
from reft.progress import Bar, Display
from reft.run import WARMUP, RunDirectory, step_name
from rollout.pool import Pool
from rollout.types import Sample

T = TypeVar("T")

Evaluation = Callable[[Pool], Mapping[str, float]]
"""Evaluates the pool's policy on a split; must give `SPLIT/greedy`, `SPLIT/sampled` and `SPLIT/tokens_per_chain`."""

NO_METER = Meter()
FAILURES_LOGGED = 8
"""Chains of a step, behind those that are written anyway, for which a reward function failed."""
LEAST_AGREEMENT = 0.8
"""Of a judge with the checker; below it a person is warned."""


def selection_note(at: str, split: str, metrics: Mapping[str, float]) -> str:
    """What a person sees of an evaluation that picks the checkpoint."""
    return (
        f"{at}  {split} greedy {metrics[f'{split}/greedy']:.3f}  sampled {metrics[f'{split}/sampled']:.3f}  "
        f"tokens/chain {metrics[f'{split}/tokens_per_chain']:.1f}"
    )


class RunJournal:
    """Writes a run directory and shows a bar.

    Args:
        run: where to write.
        display: where to show.
        settings: how often.
        keep_last: checkpoints kept.
        keep_best: checkpoints kept besides, for their accuracy.
        meter: counts operations.
        evaluation: of the current policy.
        split: on which it is; its accuracy picks the best checkpoint.
        judges: names of rewards that are judgements; how far they agree with the checker is recorded, and watched.
    """

    def __init__(
        self,
        run: RunDirectory,
        display: Display,
        settings: TrainConfig,
        keep_last: int,
        evaluation: Evaluation,
        split: str = "dev",
        judges: Sequence[str] = (),
        keep_best: int = 1,
        meter: Meter = NO_METER,
    ) -> None:
        self.run, self.display, self.settings = run, display, settings
        self.keep_last, self.keep_best = keep_last, keep_best
        self._values: dict[int, float] = {}
        self.evaluation, self.split = evaluation, split
        self.judges, self.meter = judges, meter
        self.stopped_at: int | None = None
        """The step behind which somebody asked to stop; None if the loop ran to its end."""
        self._times: dict[str, float] = {}
        self._warned = 0.0
        """The difference of sampler and learner that was told last."""
        self._bar: Bar | None = None
        self._stop: StopRequest | None = None

    def steps(self, steps: int) -> Iterator[int]:
        saved = self.run.steps_saved()
        start = saved[-1] if saved else 0
        self.run.state.steps_repeated += sum(row["step"] > start for row in self.run.rows("reinforce"))
        self.run.forget_after("reinforce", start)
        self.run.forget_samples_after(start)
        self.recount()
        with (
            StopRequest(self._announce) as self._stop,
            self.display.bar("reinforce", steps, "step", start) as self._bar,
        ):
            self._times = {}
            for step in range(start, steps):
                yield step
                if self._stop.requested:
                    self.stopped_at = step + 1
                    return

    def _announce(self, signal: str) -> None:
        soon = "the step is finished, or its sampling abandoned, and saved"
        self.display.note(
            f"{signal}: {soon}" if signal == "SIGTERM" else "finishing this step and saving; Ctrl-C again stops at once"
        )

    @property
    def terminated(self) -> bool:
        """Whether SIGTERM ended the loop."""
        return self.stopped_at is not None and self._stop is not None and self._stop.terminated

    def attempt(self, step: int, work: Callable[[], T]) -> T | None:
        assert self._stop is not None
        done = self._stop.attempt(work)
        if done is None:
            self.stopped_at = step
        return done

    def recount(self) -> None:
        """Counters from the steps that stand; what a stopped process counted beyond them will be done again."""
        rows = self.run.rows("reinforce")
        if rows and "samples/computed_tokens" not in rows[0]:
            raise RunError(f"{self.run.path} was begun by a version that did not count operations; choose another run.dir")
        state = self.run.state
        state.tokens_sampled = int(sum(row["samples/tokens"] for row in rows))
        state.flops["reinforce"] = 0.0
        state.best_step, state.best_value = None, -1.0
        self._values = {}
        for row in rows:
            self._count(self.meter.read(row))
            self._compare(int(row["step"]), row)

    def _count(self, spent: Mapping[str, float]) -> float:
        """Add a step's operations to those of the loop; all of training so far."""
        state = self.run.state
        state.flops["reinforce"] = state.flops.get("reinforce", 0.0) + sum(spent.values())
        return state.flops.get(WARMUP, 0.0) + state.flops["reinforce"]

    def _compare(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note a step's accuracy, and whether it is the best so far, or as good."""
        greedy, sampled = (f"{self.split}/{mode}" for mode in ("greedy", "sampled"))
        if greedy in metrics:
            value = self._values[step] = (metrics[greedy] + metrics[sampled]) / 2
            if value >= self.run.state.best_value:
                self.run.state.best_step, self.run.state.best_value = step, value

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._times[name] = self._times.get(name, 0.0) + time.monotonic() - start

    def evaluate(self, step: int, pool: Pool) -> Mapping[str, float]:
        if step % self.settings.eval_every and step != self.settings.steps:
            return {}
        with self.run.phase("evaluate"):
            metrics = self.evaluation(pool)
        self._compare(step, metrics)
        self.display.note(selection_note(f"step {step:4d}", self.split, metrics))
        return metrics

    def record(self, step: int, metrics: Mapping[str, float], samples: Sequence[Sample]) -> None:
        times = {f"time/{name}": seconds for name, seconds in self._times.items()}
        speed = {"samples/tokens_per_second": metrics["samples/tokens"] / max(self._times["sample"], 1e-9)}
        self._times = {}
        self.run.state.tokens_sampled += int(metrics["samples/tokens"])
        spent = self.meter.read(metrics)
        compute = {**spent, "compute/flops": self._count(spent)}
        self.run.log("reinforce", step, {**metrics, **times, **speed, **compute, **self._agreements(samples)})
        self._warn(step, metrics.get("sampler/probability_gap_mean", 0.0))
        logged = self.settings.samples_logged
        failed = [sample for sample in samples[logged:] if sample.failures]
        self.run.write_samples(step, [*samples[:logged], *failed[:FAILURES_LOGGED]])
        if self._bar is not None:
            kl = f"  kl {metrics['kl/reference']:.3f}" if "kl/reference" in metrics else ""
            self._bar.update(
                step,
                f"reward {metrics['reward/mean']:.3f}  correct {metrics['answer/correct']:.3f}  "
                f"tokens {metrics['chain/tokens_mean']:.1f}{kl}",
            )

    def _warn(self, step: int, gap: float) -> None:
        """Tell where sampler and learner differ much, once, and again when it has doubled."""
        if gap > max(self.settings.sampler_warning, 2 * self._warned):
            self._warned = gap
            self.display.note(
                f"warning: step {step}: sampler and learner differ by {gap:.2g} on average in the probability of the same "
                f"tokens, more than {self.settings.sampler_warning:g} (train.sampler_warning); model.dtype=float32 tells "
                "rounding from faults, and an importance_cap corrects for it"
            )

    def _agreements(self, samples: Sequence[Sample]) -> dict[str, float]:
        """How often each judge says what the exact checker says, of the samples that both have decided."""
        found = {}
        for name in self.judges:
            pairs = [
                (value >= 0.5, sample.verdict.correct)
                for sample in samples
                if (value := sample.rewards[name]) is not None and sample.verdict.outcome in ("equal", "different")
            ]
            if pairs:
                share = found[f"agreement/{name}"] = sum(judged == true for judged, true in pairs) / len(pairs)
                if share < LEAST_AGREEMENT:
                    self.display.note(
                        f"warning: the judge {name!r} agrees with the exact checker on {share:.0%} of {len(pairs)} samples; "
                        "judged and true reward part"
                    )
        return found

    def save(self, step: int, learner: Learner) -> None:
        best = self._best()
        stopping = self._stop is not None and self._stop.requested
        if step == 0 or self.run.has_checkpoint(step_name(step)):
            return  # SIGTERM came before there was anything new
        if step % self.settings.save_every and step != self.settings.steps and step not in best and not stopping:
            return
        self.run.flush()
        with self.timed("save"):  # told with the next step, since this one's record comes before its checkpoint
            self.run.write_checkpoint(step_name(step), learner.save)
        self.run.save_state()
        self.run.prune(self.keep_last, best)

    def _best(self) -> list[int]:
        """The steps of the best accuracies so far, later ones before earlier ones that are as good."""
        return sorted(self._values, key=lambda step: (self._values[step], step), reverse=True)[: self.keep_best]
