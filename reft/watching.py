"""What `reft sample` is asked to show, and whether that makes sense, before anything heavy is loaded."""

from dataclasses import dataclass
from pathlib import Path

from reft.benchmarks import EMBEDDED
from reft.compose import compose, compose_settings
from reft.config import Config
from reft.errors import ConfigError, RunError
from reft.owners import alone, check_sound, lies_in_run, run_of
from reft.run import read_settings


@dataclass(frozen=True)
class Watching:
    """The options of `reft sample`, None where nobody gave one."""

    checkpoint: str
    n: int | None = None
    samples: int | None = None
    prompt: str | None = None
    problem: str | None = None
    task: str | None = None
    config: str | None = None
    strategy: str | None = None
    budget: int | None = None
    seed: int = 0

    @property
    def folder(self) -> Path:
        return Path(self.checkpoint)

    @property
    def problems(self) -> int:
        """Problems to show."""
        return 3 if self.n is None else self.n

    @property
    def chains(self) -> int:
        """Sampled chains of each, besides the greedy one."""
        return 2 if self.samples is None else self.samples


@dataclass(frozen=True)
class Terms:
    """By what a checkpoint is asked and judged."""

    config: Config
    judged: bool
    """Whether the config's task is that of the checkpoint; else one stands for none, and nobody judges."""
    fitted: bool
    """Whether chains may be made as short as the checkpoint's positions want it, since nobody has said how long they are."""


def check_watching(asked: Watching) -> Terms:
    """Look at the options, and find what judges the checkpoint's answers.

    Raises:
        UserError: in one line, for what is out of range, means nothing, or is missing.
    """
    if asked.problems < 1 or asked.chains < 0:
        raise ConfigError(
            f"-n {asked.problems} --samples {asked.chains} is out of range; choose at least 1 problem and 0 samples"
        )
    if asked.budget is not None and asked.budget < 1:
        raise ConfigError(f"--budget {asked.budget} is out of range; choose 1 or more")
    if asked.prompt is not None and not asked.prompt.strip():
        raise ConfigError("--prompt is empty; give it a text to think about")
    if asked.prompt is not None and asked.problem is not None:
        raise ConfigError("--prompt and --problem each say what to think about; leave one out")
    if asked.n is not None and (one := next((name for name in ("problem", "prompt") if vars(asked)[name] is not None), None)):
        raise ConfigError(f"-n is how many problems are drawn, and --{one} names one; leave one of them out")
    if asked.budget is not None and asked.strategy is None:
        raise ConfigError("--budget is of a strategy; add --strategy NAME, such as --strategy wait, or leave it out")
    if asked.samples is not None and asked.strategy is not None:
        raise ConfigError(f"--samples is not of --strategy {asked.strategy}, which has --budget; leave one out")
    if asked.task is not None and asked.config is not None:
        raise ConfigError("--task and --config each say what judges answers; leave one out")
    return _terms(asked)


def _terms(asked: Watching) -> Terms:
    check_sound(asked.folder)
    if asked.config is not None:
        return Terms(compose(asked.config, []).config, True, False)
    if asked.task is not None:
        if asked.task not in EMBEDDED:
            raise ConfigError(
                f"--task {asked.task!r} is none of those that are made here: {', '.join(EMBEDDED)}; for another, name a config "
                "with --config"
            )
        return Terms(compose_settings(*alone(asked.checkpoint, asked.task)).config, True, True)
    if lies_in_run(asked.folder):
        return Terms(read_settings(run_of(asked.folder)).config, True, False)
    if asked.prompt is None or asked.strategy is not None:
        raise RunError(
            f"{asked.checkpoint} lies in no run directory, so its task is not known; name what asks it and judges its answers "
            "by --task NAME or --config CONFIG, or ask it yourself by --prompt alone"
        )
    return Terms(compose_settings(*alone(asked.checkpoint)).config, False, True)
