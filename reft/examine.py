"""`reft eval --on` and `--from-outputs`: checkpoints that take benchmarks, and outputs that others have saved."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from reft.benchmarks import check_name, questions
from reft.compose import Composed
from reft.config import Config
from reft.errors import ConfigError, RunError
from reft.exams import make_exam
from reft.files import find_damage, is_sealed, write_atomically
from reft.origins import as_task, find_origin
from reft.outputs import as_text, read_outputs, score_outputs
from reft.progress import Display
from reft.rollouts import make_scorer
from reft.run import write_lines
from reft.sittings import compare_reports, digest_of, sit, take_all
from reft.summary import print_benchmark, print_outputs, print_pair
from rewards.answer import Mode


def examine_checkpoints(
    composed: Composed, checkpoint: str, on: str, split: str, against: str | None, how: Mapping[str, str | None]
) -> int:
    """Have a checkpoint take benchmarks by a run's settings, and another the same ones; print the reports.

    Args:
        on: names, separated by commas.
        against: the other checkpoint.
        how: `data`, `prompt`, `extractor` and `out`, each as the command line has it.

    Raises:
        UserError: in one line, for a name that is unknown, data that have changed, or a checkpoint that cannot.
    """
    own = str(composed.settings["task"]["use"])
    names = list(dict.fromkeys(name.strip() for name in on.split(",")))
    for name in names:
        check_name(name, own)
    takers = [checkpoint, *([] if against is None else [against])]
    for taker in takers:
        check_sound(taker)
    asked = questions(composed.config.task, how["prompt"], how["extractor"])
    exams = [make_exam(name, composed.config, own, how["data"], asked, split) for name in names]
    # All of them before the first is taken: what cannot be taken is told at once.
    places = places_of(takers, how["out"])
    sittings = [
        [sit(exam, composed.config, taker, *where) for exam in exams] for taker, where in zip(takers, places, strict=True)
    ]
    display, reports = Display(), []
    for of_one in sittings:
        reports.append(take_all(of_one, composed.config, display))
        for content in reports[-1]:
            print_benchmark(content)
    for first, second in zip(*reports, strict=True) if against is not None else ():
        print_pair(compare_reports(first, second, composed.config.seed))
    return 0


def places_of(checkpoints: Sequence[str], out: str | None) -> list[tuple[Path, str]]:
    """Of each, what `place` says, told apart where two folders have one name."""
    places = [place(checkpoint, out) for checkpoint in checkpoints]
    if len(set(places)) == len(places):
        return places
    return [(folder, f"{name}-{digest_of(one)}") for one, (folder, name) in zip(checkpoints, places, strict=True)]


def alone(checkpoint: str) -> tuple[str, dict[str, Any]]:
    """The name and settings of a checkpoint that lies in no run, or on the hub. The task stands for none."""
    return Path(checkpoint).name, {"task": {"use": "signed_sum"}, "model": {"path": checkpoint}}


def check_sound(checkpoint: str) -> None:
    """Raise `RunError` for a folder that is no checkpoint, or damaged."""
    folder = Path(checkpoint)
    if not folder.exists():
        return  # it may be on the hub
    if not (folder / "config.json").is_file():
        raise RunError(f"{checkpoint} is no checkpoint: it has no config.json; name a folder that transformers can load")
    if is_sealed(folder) and (damage := find_damage(folder)):
        raise RunError(f"{checkpoint} is damaged ({damage}); name another, or have its run make it again")


def place(checkpoint: str, out: str | None) -> tuple[Path, str]:
    """The folder of a checkpoint's reports, and how their names begin: its run's folder, or `eval` here for one in no run."""
    folder = Path(checkpoint).absolute()
    run = folder.parent.parent
    in_run = folder.is_dir() and (run / "config.yaml").is_file()
    if out is not None:
        return Path(out).absolute(), f"{run.name}-{folder.name}" if in_run else folder.name
    return (run / "eval" if in_run else Path("eval").absolute()), folder.name


def grade_outputs(
    paths: Sequence[str], compose: Callable[[dict[str, Any]], Config], named: bool, extractor: str | None, out: str | None
) -> int:
    """Grade saved outputs and print what they come to. Those of an evaluation or a run of ours are read and scored as there,
    unless an extractor is named; all others as free text.

    Args:
        compose: puts what somebody has set over settings.
        named: whether the task is among that.

    Raises:
        UserError: in one line, for a file that is none of outputs, or an extractor that does not suit, or a task that is not
            known.
    """
    mode = extractor or "lenient"
    if mode not in get_args(Mode):
        raise ConfigError(f"--extractor {mode} does not suit --from-outputs; choose from {', '.join(get_args(Mode))}")
    file = Path(out or "eval") / f"{Path(paths[0]).stem}-outputs.json"  # not the name of what is read
    if clash := [path for path in paths if Path(path).resolve() in (file.resolve(), file.with_suffix(".jsonl").resolve())]:
        raise ConfigError(f"--from-outputs {clash[0]} would be overwritten by what it comes to; choose another --out")
    saved = read_outputs(paths)
    origin = find_origin(saved, named) if saved.layout.kind and extractor is None else None
    config = compose(dict(origin.settings) if origin else {"task": {"use": "signed_sum"}})  # whose task is not looked at
    scorer = make_scorer({}, config.checker, config.programs)
    try:
        manner = as_task(saved, config.task, origin.benchmark, scorer) if origin else as_text(cast(Mode, mode), scorer.checker)
        content, rows = score_outputs(saved, manner, scorer.checker, config.seed, Display())
    finally:
        scorer.close()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_lines(file.with_suffix(".jsonl"), rows)
    print_outputs({**content, "file": str(file)})
    return 0
