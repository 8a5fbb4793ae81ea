"""`reft eval --on`, `--strategy` and `--from-outputs`: checkpoints that take benchmarks, and outputs that others have saved."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from reft.benchmarks import KNOWN, check_name, questions
from reft.compose import Composed
from reft.config import Config
from reft.errors import ConfigError
from reft.exams import Exam, make_exam
from reft.files import write_atomically
from reft.origins import as_task, find_origin
from reft.outputs import as_text, read_outputs, score_outputs
from reft.owners import check_sound, lies_in_run
from reft.progress import Display
from reft.rollouts import make_scorer
from reft.run import write_lines
from reft.search_exams import finish_search, sit_search, take_search
from reft.sittings import compare_reports, digest_of, sit, take_all
from reft.summary import print_benchmark, print_outputs, print_pair, print_search
from rewards.answer import Mode


def examine_checkpoints(
    composed: Composed, checkpoint: str, on: str, split: str | None, against: str | None, how: Mapping[str, str | None]
) -> int:
    """Have a checkpoint take benchmarks by a run's settings, and another the same ones; print the reports.

    Args:
        on: names, separated by commas.
        split: of tasks; the test split where it is None.
        against: the other checkpoint.
        how: `data`, `prompt`, `extractor` and `out`, each as the command line has it.

    Raises:
        UserError: in one line, for a name that is unknown, data that have changed, or a checkpoint that cannot.
    """
    takers = [checkpoint, *([] if against is None else [against])]
    exams = _exams(composed, takers, on, split, how)
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


def search_checkpoint(
    composed: Composed, checkpoint: str, on: str | None, split: str | None, strategy: str, budgets: Sequence[int] | None,
    how: Mapping[str, str | None],
) -> int:  # fmt: skip
    """Have a checkpoint take its run's task, or the exams that are named, by a strategy under budgets; print the reports.

    Args:
        on: names, separated by commas; None for the run's task.
        budgets: None for the usual ones.
        how: as of `examine_checkpoints`.

    Raises:
        UserError: in one line, for a name that is unknown, or a checkpoint that cannot take it so.
    """
    config, task = composed.config, str(composed.settings["task"]["use"])
    if on is None:
        exams = [make_exam(task, config, task, None, questions(config.task, None, None), split := split or "test")]
    else:
        exams = _exams(composed, [checkpoint], on, split, how)
    folder, name = place(checkpoint, how["out"])
    own = split if on is None else None
    sittings = [sit_search(exam, config, checkpoint, folder, name, strategy, budgets, own) for exam in exams]
    for content in take_all(sittings, config, Display(), take_search, finish_search):
        print_search(content)
    return 0


def _exams(composed: Composed, takers: Sequence[str], on: str, split: str | None, how: Mapping[str, str | None]) -> list[Exam]:
    """The exams that are named, once names, options and checkpoints have been looked at."""
    own = str(composed.settings["task"]["use"])
    names = list(dict.fromkeys(name.strip() for name in on.split(",")))
    for name in names:
        check_name(name, own)
    check_options(names, split, how)
    benchmarks = [name for name in names if name in KNOWN]
    if how["data"] is not None and Path(how["data"]).is_file() and len(benchmarks) > 1:
        raise ConfigError(
            f"--data {how['data']} is one file, and {' and '.join(benchmarks)} are several; name a folder of theirs"
        )
    for taker in takers:
        check_taker(taker)
    asked = questions(composed.config.task, how["prompt"], how["extractor"])
    return [make_exam(name, composed.config, own, how["data"], asked, split or "test") for name in names]


def places_of(checkpoints: Sequence[str], out: str | None) -> list[tuple[Path, str]]:
    """Of each, what `place` says, told apart where two folders have one name."""
    places = [place(checkpoint, out) for checkpoint in checkpoints]
    if len(set(places)) == len(places):
        return places
    return [(folder, f"{name}-{digest_of(one)}") for one, (folder, name) in zip(checkpoints, places, strict=True)]


def check_taker(checkpoint: str) -> None:
    """Raise `RunError` for a folder that is no checkpoint, or damaged. What is no folder may be on the hub."""
    if Path(checkpoint).exists():
        check_sound(Path(checkpoint))


def check_options(names: Sequence[str], split: str | None, how: Mapping[str, str | None]) -> None:
    """Raise `ConfigError` for an option that means nothing for any of the exams."""
    if split is not None and all(name in KNOWN for name in names):
        raise ConfigError(f"--split is of tasks, and {', '.join(names)} have one set of problems each; leave it out")
    for option in ("data", "prompt", "extractor"):
        if how[option] is not None and not any(name in KNOWN for name in names):
            raise ConfigError(f"--{option} is of benchmarks, and {', '.join(names)} bring their own; leave it out")


def place(checkpoint: str, out: str | None) -> tuple[Path, str]:
    """The folder of a checkpoint's reports, and how their names begin: its run's folder, or `eval` here for one in no run."""
    folder = Path(checkpoint).absolute()
    run = folder.parent.parent
    in_run = lies_in_run(folder)
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
