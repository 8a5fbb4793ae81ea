"""From a YAML file and `key=value` overrides to a validated `Config`, and back to the text that a run keeps.

OmegaConf's structured merge does the work: an unknown key or a wrong type is an error that names the key and its nearest
neighbour. `task` and `algorithm` are merged into the dataclass that their `use` names.
"""

import ast
import dataclasses
import hashlib
import importlib
import inspect
import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from reft import config as sections
from reft import reward_config
from reft.config import Config
from reft.errors import ConfigError
from reft.validation import validate

DEFAULT_REWARDS = {"correct": {"use": "correct"}}

HELPER_MODULES = {"records", "word_steps", "ops", "group", "actor_critic"}
"""Modules of `reft.tasks` and `reft.algorithms` that others share; no config can name them."""

TRUNCATING = {"sampling.top_k", "sampling.top_p", "sampling.min_p"}
"""What a user of other trainers may look for here."""

PLACE_KEYS = (
    "run", "ray", "rollout.workers", "rollout.cpus", "rollout.restarts", "rollout.restart_window",
    "rollout.reward_failures",
    "learner.restarts", "train.samples_logged", "train.sampler_warning", "train.sampler_gap", "warmup.force",
)  # fmt: skip
"""Settings of where and how fast a run happens, not of what it computes: they may change when it is resumed."""

SUM_KEYS = (
    "learner.ranks", "learner.zero", "learner.threads", "learner.cpus", "learner.gpus", "learner.micro_batch",
    "rollout.threads", "rollout.tensor_parallel", "rollout.gpu_memory", "warmup.micro_batch", "self_training.micro_batch",
)  # fmt: skip
"""Settings that change in which order numbers are added up, and nothing else: they too may change when a run is resumed, which
is then no longer bit by bit what it would have been."""


@dataclass(frozen=True)
class Draft:
    """What a YAML file may say, before `task` and `algorithm` are resolved."""

    task: dict[str, Any] = field(default_factory=dict)
    algorithm: dict[str, Any] = field(default_factory=dict)
    rewards: dict[str, reward_config.RewardConfig] = field(default_factory=dict)
    seed: int = 0
    model: sections.ModelConfig = field(default_factory=sections.ModelConfig)
    warmup: sections.WarmupConfig = field(default_factory=sections.WarmupConfig)
    self_training: sections.SelfTrainingConfig = field(default_factory=sections.SelfTrainingConfig)
    sampling: sections.SamplingConfig = field(default_factory=sections.SamplingConfig)
    train: sections.TrainConfig = field(default_factory=sections.TrainConfig)
    curriculum: sections.CurriculumConfig = field(default_factory=sections.CurriculumConfig)
    learner: sections.LearnerConfig = field(default_factory=sections.LearnerConfig)
    rollout: sections.RolloutConfig = field(default_factory=sections.RolloutConfig)
    checker: reward_config.CheckerConfig = field(default_factory=reward_config.CheckerConfig)
    programs: reward_config.ProgramsConfig = field(default_factory=reward_config.ProgramsConfig)
    evaluate: sections.EvaluateConfig = field(default_factory=sections.EvaluateConfig)
    rerank: sections.RerankConfig = field(default_factory=sections.RerankConfig)
    run: sections.RunConfig = field(default_factory=sections.RunConfig)
    ray: sections.RayConfig = field(default_factory=sections.RayConfig)


@dataclass(frozen=True)
class Composed:
    """A validated config, the name of its file, and the settings as plain data."""

    name: str
    config: Config
    settings: dict[str, Any]
    written: frozenset[str] = frozenset()
    """Dotted keys of the settings that somebody wrote, the others being defaults."""

    def yaml(self) -> str:
        return str(OmegaConf.to_yaml(OmegaConf.create(self.settings)))

    def identity(self) -> dict[str, Any]:
        """The settings that decide what a run computes, flat, by dotted key."""
        flat = dict(_flatten(self.settings))
        return {
            key: value
            for key, value in flat.items()
            if not any(key == place or key.startswith(f"{place}.") for place in PLACE_KEYS)
        }

    def hash(self) -> str:
        """Twelve hexadecimal digits of the identity."""
        text = json.dumps(self.identity(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def shipped_configs() -> Path:
    """The folder of configs that come with the project: inside the package where it is installed, beside it in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


def find_config(name: str) -> Path:
    """The file that `name` means: a path, or the bare name of a shipped config.

    Raises:
        ConfigError: where there is neither.
    """
    if (path := Path(name)).is_file():
        return path
    bare = path.name.removesuffix(".yaml")
    if (shipped := shipped_configs() / f"{bare}.yaml").is_file() and path.parent in (Path(), Path("configs")):
        return shipped
    known = ", ".join(sorted(file.stem for file in shipped_configs().glob("*.yaml")))
    raise ConfigError(f"config {name!r} is no file; name a YAML file or a shipped config: {known}")


def compose(name: str, overrides: Sequence[str] = ()) -> Composed:
    """The validated config of a file (or shipped name) with `key=value` overrides.

    Raises:
        ConfigError: for whatever is wrong with it, in one line.
    """
    path = find_config(name)
    for override in overrides:
        key, separator, _ = override.partition("=")
        if not separator or not key or key.startswith("-"):
            raise ConfigError(f"argument {override!r} is no setting; write key=value, e.g. train.steps=20")
    try:
        loaded = OmegaConf.load(path)
        if not OmegaConf.is_dict(loaded):
            raise ConfigError(f"{path} is a list; write settings by name, as `configs/quickstart.yaml` does")
        written = OmegaConf.merge(loaded, OmegaConf.from_dotlist(list(overrides)))
    except (OmegaConfBaseException, OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {_first_line(error)}") from error
    except Exception as error:  # the YAML parser has a family of its own that OmegaConf does not wrap
        if type(error).__module__.startswith("yaml"):
            raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
        raise
    return compose_settings(path.stem, written)


def compose_settings(name: str, written: Any) -> Composed:
    """The validated config of settings that are already read."""
    draft = _merge(Draft, written, "")
    task = _resolve("task", "reft.tasks", draft.task)
    algorithm = _resolve("algorithm", "reft.algorithms", {"use": "reft", **draft.algorithm})
    rewards = draft.rewards or {
        key: _merge(reward_config.RewardConfig, value, f"rewards.{key}.") for key, value in DEFAULT_REWARDS.items()
    }
    for key, reward in rewards.items():
        if not reward.use:
            raise ConfigError(f"rewards.{key}.use is missing; name a function, module:function or a built-in")
        if reward.deadline is not None and not reward.deadline > 0:  # a NaN is not, either
            raise ConfigError(f"rewards.{key}.deadline={reward.deadline} is out of range; choose more than 0")
    parts = {item.name: getattr(draft, item.name) for item in dataclasses.fields(Draft)}
    config = Config(**{**parts, "task": task.settings, "algorithm": algorithm.settings, "rewards": rewards})
    validate(config)
    settings = {key: _plain(value) for key, value in vars(config).items()}
    settings["task"] = {"use": task.use, **settings["task"]}
    settings["algorithm"] = {"use": algorithm.use, **settings["algorithm"]}
    plain = OmegaConf.to_container(written) if OmegaConf.is_config(written) else dict(written)
    return Composed(name, config, settings, frozenset(key for key, _ in _flatten(plain)))


@dataclass(frozen=True)
class _Resolved:
    use: str
    settings: Any


def _resolve(section: str, package: str, written: dict[str, Any]) -> _Resolved:
    """The dataclass that `written["use"]` names, filled with the rest of `written`."""
    rest = dict(written)
    use = rest.pop("use", None)
    if not isinstance(use, str) or not use:
        raise ConfigError(f"{section}.use is missing; name one of {', '.join(_names(package))} or module:Class")
    kind = _find_class(section, package, use)
    return _Resolved(use, _merge(kind, rest, f"{section}."))


def _find_class(section: str, package: str, use: str) -> type:
    module_name, separator, class_name = use.partition(":")
    if not separator and use not in _names(package):
        raise ConfigError(f"{section}.use={use!r} is unknown; choose from {', '.join(_names(package))} or module:Class")
    try:
        module = importlib.import_module(module_name if separator else f"{package}.{use}")
    except Exception as error:  # somebody else's module may fail in any way while it is imported
        raise ConfigError(f"{section}.use={use!r} cannot be imported: {error!r}") from error
    if separator:
        kind = vars(module).get(class_name)
    else:
        own = [item for item in vars(module).values() if inspect.isclass(item) and item.__module__ == module.__name__]
        kind = next((item for item in own if hasattr(item, "validate")), None)
    if not (inspect.isclass(kind) and dataclasses.is_dataclass(kind)):
        raise ConfigError(f"{section}.use={use!r} names no dataclass; write module:Class")
    return kind


def _names(package: str) -> list[str]:
    """The modules of a package that define something to `use`."""
    folder = Path(importlib.import_module(package).__path__[0])
    stems = {file.stem for file in folder.glob("*.py")}
    return sorted(stems - {"__init__"} - HELPER_MODULES)


def _merge(kind: type, written: Any, prefix: str) -> Any:
    """An instance of the dataclass `kind` with what is written put over its defaults."""
    try:
        schema = OmegaConf.structured(kind)
        OmegaConf.set_readonly(schema, False)
        return OmegaConf.to_object(OmegaConf.merge(schema, written))
    except OmegaConfBaseException as error:
        key = f"{prefix}{error.full_key}" if error.full_key else prefix.rstrip(".") or "the config"
        if key in TRUNCATING:
            raise ConfigError(
                f"{key}: training learns from the policy's own distribution, and the learner's log-probs would not be those of "
                f"what was drawn; for evaluation there is evaluate.{key.removeprefix('sampling.')}"
            ) from error
        raise ConfigError(f"{key}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _flatten(settings: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(settings, dict) and settings:
        return [pair for key, value in settings.items() for pair in _flatten(value, f"{prefix}{key}.")]
    return [(prefix.rstrip("."), settings)]


def annotated_defaults() -> str:
    """All settings with their defaults as YAML, the docstring of each above it; those of the algorithms and tasks, of which a
    config names one, as comments."""
    lines = ["seed: 0  # every random number of the run follows from it", ""]
    for item in dataclasses.fields(Draft):
        if item.name in ("task", "algorithm", "rewards", "seed"):
            continue
        kind = typing.get_type_hints(Draft)[item.name]
        lines += [f"{item.name}:  # {inspect.getdoc(kind)}", *_annotated_fields(kind), ""]
    for section, package in (("algorithm", "reft.algorithms"), ("task", "reft.tasks")):
        for use in _names(package):
            kind = _find_class(section, package, use)
            lines += [f"# {section}:", *(f"# {line}" for line in (f"  use: {use}", *_annotated_fields(kind))), ""]
    return "\n".join(lines)


def _annotated_fields(kind: type) -> list[str]:
    documented = field_docstrings(kind)
    values = {item.name: _plain(_default(item)) for item in dataclasses.fields(kind)}
    lines: list[str] = []
    for name, value in values.items():
        lines += [f"  # {line}".rstrip() for line in documented.get(name, "").splitlines()]
        lines.append(f"  {name}: {json.dumps(value)}")
    return lines


def _default(item: dataclasses.Field[Any]) -> Any:
    """A field's default; None where it has none and must be written."""
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return None if item.default is dataclasses.MISSING else item.default


def field_docstrings(kind: type) -> dict[str, str]:
    """The string under each field of a dataclass and of those it builds on, read from their source."""
    found: dict[str, str] = {}
    for owner in filter(dataclasses.is_dataclass, reversed(kind.__mro__)):
        body = ast.parse(inspect.cleandoc(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            match (statement, following):
                case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text)))):
                    found[name] = inspect.cleandoc(text)
    return found
