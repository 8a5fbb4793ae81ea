"""Exams taken by checkpoints, with workers: greedy and sampled, section by section, so that one that is killed goes on.

A section is a fixed number of problems; its chains are on the disk before the next begins. Its seed is its own, so that neither
the number of workers nor an interruption changes a chain. All figures are computed from what is on the disk.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from reft.assessment import greedy_params, plain_reports, sampled_params
from reft.cluster import cluster
from reft.config import Config
from reft.errors import RunError
from reft.evaluate import report
from reft.exams import Exam, Panel, fitting
from reft.files import MANIFEST, is_sealed, write_atomically
from reft.flops import Cost
from reft.marking import MODES, Marker, Marks
from reft.paired import compare
from reft.progress import Display
from reft.reward_config import RewardConfig
from reft.rollouts import ray_pool
from reft.run import write_lines
from reft.scores import at_k, plain, rates
from rollout.pool import Pool
from rollout.types import Problem, Sample
from rollout.worker import derive_seed

SECTION = 256
"""Problems whose chains are sampled between two times that the disk has them."""


@dataclass(frozen=True)
class Sitting:
    """One exam taken by one checkpoint: what identifies it, and where its chains are."""

    exam: Exam
    checkpoint: str
    too_long: Sequence[str]
    setup: Mapping[str, Any]
    file: Path
    """Of the report; the chains are beside it, a line a problem."""

    @property
    def part(self) -> Path:
        """The file that grows while the exam is taken."""
        return self.file.with_suffix(".part.jsonl")

    def finished(self) -> dict[str, Any] | None:
        """The report, where it has been taken already, just so."""
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and content.get("setup") == self.setup else None

    def done(self) -> list[dict[str, Any]]:
        """Problems with their chains that are on the disk already, whole sections of them."""
        try:
            lines = self.part.read_text(encoding="utf-8").split("\n")  # chains may hold other ends of lines
        except OSError:
            return []
        rows = [row for line in lines if (row := _whole(line)) is not None]
        if not rows or rows[0].get("setup") != self.setup:
            return []
        ids = [problem.id for problem in self.exam.problems]
        good = 0
        while good < len(rows) - 1 and good < len(ids) and rows[good + 1].get("problem") == ids[good]:
            good += 1
        return rows[1 : 1 + (good if good == len(ids) else good - good % SECTION)]


def sit(exam: Exam, config: Config, checkpoint: str, folder: Path, name: str) -> Sitting:
    """Prepare to take an exam.

    Raises:
        UserError: if the checkpoint cannot.
    """
    fits, too_long = fitting(exam, checkpoint, config.sampling.max_tokens)
    modes = {"greedy": asdict(greedy_params(config)), "sampled": asdict(sampled_params(config))}
    setup = describe(fits, config, checkpoint, {"samples": config.evaluate.samples, **modes})
    return Sitting(fits, checkpoint, too_long, setup, folder / f"{name}-{exam.name}.json")


def describe(exam: Exam, config: Config, checkpoint: str, how: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies an exam that a checkpoint takes, as JSON has it; `how` says how its chains are drawn."""
    problems = hashlib.blake2b(digest_size=16)
    for problem in exam.problems:
        problems.update(json.dumps([problem.id, problem.prompt, problem.answer]).encode())
    setup = {
        "benchmark": exam.name, "source": exam.source, **exam.asked(), "example": exam.problems[0].prompt,
        "stop": ["the end token", *config.sampling.stop], "checker": asdict(config.checker), "seed": config.seed,
        **how, "engine": config.rollout.engine, "dtype": config.model.dtype,
        "problems": {"count": len(exam.problems), "blake2b": problems.hexdigest()}, "weights": weights_digest(checkpoint),
        "shard_size": config.rollout.shard_size, "section": SECTION,
    }  # fmt: skip
    found: dict[str, Any] = json.loads(json.dumps(setup))
    return found


def weights_digest(checkpoint: str) -> str:
    """By what a checkpoint's weights are known again: its manifest where it has one, else sizes and times of its files."""
    folder = Path(checkpoint)
    if is_sealed(folder):
        return hashlib.blake2b((folder / MANIFEST).read_bytes(), digest_size=16).hexdigest()
    if not folder.is_dir():
        return checkpoint
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file())
    return hashlib.blake2b(json.dumps(files).encode(), digest_size=16).hexdigest()


def digest_of(checkpoint: str) -> str:
    """By what checkpoints of one name are told apart: a few digits of where they are."""
    where = str(Path(checkpoint).absolute()) if Path(checkpoint).exists() else checkpoint
    return hashlib.blake2b(where.encode(), digest_size=3).hexdigest()


Rows = Sequence[Mapping[str, Any]]
Tell = Callable[[int, str], None]
"""Is told how many chains, or problems, of a section are done, and what else there is to say."""


@dataclass(frozen=True)
class Taken:
    """All problems of an exam with their chains, and what these show."""

    rows: Rows
    marks: Marks


def take(sitting: Sitting, config: Config, pool: Pool, display: Display) -> Taken:
    """Sample what is not on the disk yet, and mark each section while the next is sampled."""
    n = config.evaluate.samples
    seed = derive_seed(config.seed, "benchmark", sitting.exam.name)
    params = {"greedy": (greedy_params(config), 1), "sampled": (sampled_params(config), n)}

    def draw(section: Sequence[Problem], start: int, tell: Tell) -> list[dict[str, Any]]:
        samples: dict[str, list[Sample]] = {}
        done = 0
        for mode, (how, count) in params.items():
            progress = _progress(tell, done, mode)
            samples[mode] = pool.sample(section, count, how, derive_seed(seed, mode, start), progress)
            done += len(section) * count
        return [
            problem_row(problem, {mode: samples[mode][at * count : (at + 1) * count] for mode, (_, count) in params.items()})
            for at, problem in enumerate(section)
        ]

    with Marker(sitting.exam, config) as marker:
        rows = take_sections(sitting, display, draw, "chain", 1 + n, marker.add)
        return Taken(rows, marker.marks())


def take_sections(
    sitting: Sitting,
    display: Display,
    draw: Callable[[Sequence[Problem], int, Tell], list[dict[str, Any]]],
    unit: str = "problem",
    units: int = 1,
    mark: Callable[[Rows], None] = lambda rows: None,
) -> list[dict[str, Any]]:
    """Do the sections that are not on the disk yet; returns all problems' rows.

    Args:
        draw: gives the rows of a section, which begins at a place among the problems.
        unit: what the bar counts, so many `units` of each problem.
        mark: is given rows that are on the disk, before the next ones are drawn.
    """
    rows, problems = sitting.done(), sitting.exam.problems
    if rows:
        display.note(f"{sitting.file.stem}: {len(rows)} of {len(problems)} problems are done already; going on")
    else:
        sitting.part.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"setup": sitting.setup}, *rows]
    write_atomically(sitting.part, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    with (
        sitting.part.open("a", encoding="utf-8") as file,
        display.bar(sitting.file.stem, len(problems) * units, unit, len(rows) * units) as bar,
    ):
        mark(rows)
        for start in range(len(rows), len(problems), SECTION):

            def tell(done: int, facts: str, before: int = start * units) -> None:
                bar.update(before + done, facts)

            new = draw(problems[start : start + SECTION], start, tell)
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in new))
            file.flush()
            os.fsync(file.fileno())
            rows += new
            mark(new)
    return rows


def _progress(tell: Tell, before: int, mode: str) -> Callable[[int, int], None]:
    return lambda done, _: tell(before + done, mode)


def problem_row(problem: Problem, samples: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    """A problem with its chains, as JSON has it."""
    chains = {mode: [chain_row(sample) for sample in group] for mode, group in samples.items()}
    prompt_tokens = len(samples["greedy"][0].completion.prompt_tokens)
    return {
        "problem": problem.id, "prompt": problem.prompt, "answer": problem.answer, "prompt_tokens": prompt_tokens, **chains,
    }  # fmt: skip


def chain_row(sample: Sample) -> dict[str, Any]:
    """A chain and what became of it."""
    return {
        "chain": sample.completion.chain, "extracted": sample.extracted, "verdict": sample.verdict.outcome,
        "stage": sample.verdict.stage, "why": sample.verdict.reason, "tokens": len(sample.completion.tokens),
        "finish": sample.completion.finish,
    }  # fmt: skip


def finish(sitting: Sitting, taken: Taken, seconds: float) -> dict[str, Any]:
    """Write and return the report, and the chains beside it."""
    exam, content = sitting.exam, head(sitting, seconds)
    cost = Cost.of(AutoConfig.from_pretrained(sitting.checkpoint))
    for mode in MODES:
        groups, traces = taken.marks.groups[mode], taken.marks.traces[mode]
        flat = [sample for group in groups for sample in group]
        told = [trace for found in traces for trace in found]
        (told_of,) = plain_reports({mode: (report(flat, exam.task, told), flat)}, cost).values()
        content[mode] = {**told_of, "estimates": plain(rates(groups, traces))}
    content["sampled"] |= at_k(taken.marks.groups["sampled"], taken.marks.majorities)
    write_report(sitting, content, taken.rows)
    return content


def head(sitting: Sitting, seconds: float) -> dict[str, Any]:
    """What a report begins with, whatever was looked at."""
    exam = sitting.exam
    return {
        "checkpoint": sitting.checkpoint, "benchmark": exam.name, "file": str(sitting.file), "setup": sitting.setup,
        "problems": len(exam.problems),
        "unscored": {"count": len(exam.unscored), "answers": dict(exam.unscored)},
        "too_long": {"count": len(sitting.too_long), "problems": list(sitting.too_long)},
        "seconds": round(seconds, 2),
    }  # fmt: skip


def write_report(sitting: Sitting, content: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a report, and the chains beside it; what grew while the exam was taken is no longer needed."""
    write_lines(sitting.file.with_suffix(".jsonl"), rows)
    write_atomically(sitting.file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    sitting.part.unlink(missing_ok=True)


def take_all(
    sittings: Sequence[Sitting],
    config: Config,
    display: Display,
    take: Callable[..., Any] = take,
    finish: Callable[..., dict[str, Any]] = finish,
) -> list[dict[str, Any]]:
    """The reports of exams that one checkpoint takes, with workers of a run's kind, where they are not there yet."""
    reports = {sitting.exam.name: sitting.finished() for sitting in sittings}
    left = [sitting for sitting in sittings if reports[sitting.exam.name] is None]
    if left:
        panel = Panel({sitting.exam.name: sitting.exam.task for sitting in left})
        only = {"correct": RewardConfig("correct")}
        with workers(replace(config, task=panel, rewards=only), left[0].checkpoint, display) as pool:
            for sitting in left:
                if sitting.file.is_file():
                    display.note(f"{sitting.file} is of other settings, or damaged, and is replaced; --out FOLDER keeps it")
                begun = time.monotonic()
                taken = take(sitting, config, pool, display)
                reports[sitting.exam.name] = finish(sitting, taken, time.monotonic() - begun)
    return [content for content in reports.values() if content is not None]


@contextmanager
def workers(config: Config, checkpoint: str, display: Display) -> Iterator[Pool]:
    """A config's workers with a checkpoint's weights."""
    rollout = config.rollout
    model = str(Path(checkpoint).absolute()) if Path(checkpoint).is_dir() else checkpoint
    with cluster(config.ray, rollout.workers * rollout.cpus, rollout.workers * rollout.gpus):
        pool = ray_pool(config, model, display.note)
        try:
            yield pool
        finally:
            pool.close()


def compare_reports(first: Mapping[str, Any], second: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Two reports of one exam, compared on the problems that both have; written beside the first.

    Raises:
        RunError: if they have none in common.
    """
    shares = []
    for content in (first, second):
        lines = Path(content["file"]).with_suffix(".jsonl").read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line]
        shares.append({row["problem"]: {mode: _share(row[mode]) for mode in MODES} for row in rows})
    both = [problem for problem in shares[0] if problem in shares[1]]
    if not both:
        raise RunError(f"{first['checkpoint']} and {second['checkpoint']} have no problem of {first['benchmark']} in common")
    one, other = shares
    found = {
        mode: asdict(compare([one[problem][mode] for problem in both], [other[problem][mode] for problem in both], seed))
        for mode in MODES
    }
    file, other_one = Path(first["file"]), second["checkpoint"]
    file = file.with_name(f"{file.stem}-against-{Path(other_one).name}-{digest_of(other_one)}.json")
    content = {
        "checkpoint": first["checkpoint"], "against": second["checkpoint"], "benchmark": first["benchmark"], "file": str(file),
        "setups": [first["setup"], second["setup"]], "problems": len(both), **found,
    }  # fmt: skip
    write_atomically(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return content


def _share(chains: Sequence[Mapping[str, Any]]) -> float:
    return sum(chain["verdict"] == "equal" for chain in chains) / len(chains)


def _whole(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:  # the last line of a process that was killed
        return None
    return row if isinstance(row, dict) else None
