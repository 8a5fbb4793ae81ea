"""Saved outputs of models: read in whatever form they come, graded with this project's checker, and told as evaluations are.

A form is known by its fields. A record is one problem, with one response or several, or one model's beside another's; several
files, or several records of one problem, are several samples of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any, Literal

import numpy

from reft.errors import DataError
from reft.progress import Display
from reft.scores import answer_kinds, many, picked
from reft.statistics import mean_over_clusters, mean_over_problems, proportion
from reft.tasks.jsonl import load_records
from rewards.answer import Mode
from rewards.equal import Checker, Form, Verdict, read
from rewards.known import is_readable
from rollout.types import Completion, Problem, Sample
from rollout.worker import derive_seed

Record = Mapping[str, Any]
EMPTY = numpy.zeros(0, numpy.int32)
PIECE = 64
"""Responses that are graded between two looks at the bar."""


@dataclass(frozen=True)
class Output:
    """One response to a problem."""

    model: str
    """Whose it is, where a record has several models'; else ""."""
    problem: str
    """By what the problem is known."""
    gold: str
    text: str
    label: bool | None = None
    """What the file says of it."""
    score: float | None = None
    """What a reward model says of it."""
    gold_form: Form = "answer"
    prompt: str | None = None
    """As the file has it; None where nobody asks for it."""


@dataclass(frozen=True)
class Layout:
    """A form of records."""

    name: str
    """Whose form it is."""
    fields: tuple[str, ...]
    """By which it is known."""
    outputs: Callable[[Record, str], list[Output]]
    """The responses in a record of the given name."""
    kind: Literal["", "evaluation", "run"] = ""
    """What of ours has written it, and knows how its chains are read; "" for others."""


@dataclass(frozen=True)
class Saved:
    """What files of one form hold."""

    paths: Sequence[str]
    layout: Layout
    outputs: Sequence[Output]


Judge = Callable[[Sequence[Output]], "list[tuple[Sample, bool]]"]
"""From responses to graded samples, each with whether it can be scored at all: where the known answer parses."""


@dataclass(frozen=True)
class Manner:
    """How responses are read and graded."""

    extractor: str
    """As the report tells it."""
    judge: Judge
    purpose: tuple[str, ...] = ()
    """From which, and the seed, the seed of maj@k's subsets is derived."""


def _key(record: Record, name: str) -> str:
    found = next((record[key] for key in ("problem", "question", "id", "idx") if record.get(key) is not None), name)
    return str(found)


def _one(gold: str, text: str, label: str | None = None, gold_form: Form = "answer") -> Callable[[Record, str], list[Output]]:
    def outputs(record: Record, name: str) -> list[Output]:
        said = None if label is None else _label(record, label)
        return [Output("", _key(record, name), str(record[gold]), str(record[text]), said, gold_form=gold_form)]

    return outputs


def _label(record: Record, key: str) -> bool | None:
    value = record.get(key)
    return value == "equal" if isinstance(value, str) else value


def _lists(text: str) -> Callable[[Record, str], list[Output]]:
    def outputs(record: Record, name: str) -> list[Output]:
        texts = record[text]
        labels = record.get("score") or [None] * len(texts)
        scores = record.get("pred_score") or [None] * len(texts)
        return [
            Output("", _key(record, name), str(record["gt"]), str(text), label, _first(score))
            for text, label, score in zip(texts, labels, scores, strict=True)
        ]

    return outputs


def _first(score: Any) -> float | None:
    score = score[0] if isinstance(score, list) and score else score
    return None if score is None or isinstance(score, list) else float(score)


def _models(record: Record, name: str) -> list[Output]:
    gold = str(record["ground_truth"])
    return [
        Output(model, _key(record, name), gold, str(said["solution"]), said.get("is_correct"), gold_form="text")
        for model, said in record.items()
        if isinstance(said, dict) and "solution" in said
    ]


def _pair(record: Record, name: str) -> list[Output]:
    if record["gold"] is None or record["prediction"] is None:
        raise DataError(f"{name}: gold or prediction is null; give both")
    form = record.get("gold_form", "answer")
    gold, text = str(record["gold"]), str(record["prediction"])
    return [Output("", str(record.get("id", name)), gold, text, record.get("expected"), gold_form=form)]


def _evaluated(record: Record, name: str) -> list[Output]:
    return [
        Output(
            mode, str(record["problem"]), str(record["answer"]), str(chain["chain"]), chain["verdict"] == "equal",
            prompt=str(record["prompt"]),
        )
        for mode in ("greedy", "sampled")
        for chain in record.get(mode, ())
    ]  # fmt: skip


LAYOUTS = (
    Layout("Qwen2.5-Math, several responses", ("gt", "response"), _lists("response")),
    Layout("ToRA, Qwen2.5-Math", ("gt", "code"), _lists("code")),
    Layout("grade-school-math, several models", ("question", "ground_truth"), _models),
    Layout("NeMo-Skills", ("generation", "expected_answer"), _one("expected_answer", "generation", "symbolic_correct")),
    Layout("OpenMathInstruct", ("generated_solution", "expected_answer"), _one("expected_answer", "generated_solution")),
    Layout("reft eval --on", ("problem", "answer", "greedy", "sampled"), _evaluated, "evaluation"),
    Layout("reft run, samples", ("problem", "answer", "chain"), _one("answer", "chain", "verdict"), "run"),
    Layout("reft grade, pairs", ("gold", "prediction"), _pair),
)


def read_outputs(paths: Sequence[str]) -> Saved:
    """The responses in files of one form.

    Raises:
        DataError: names the file, the record and the fields that are missing.
    """
    outputs: list[Output] = []
    layouts: dict[str, Layout] = {}
    for path in paths:
        records = load_records("--from-outputs ", path)
        if not records:
            raise DataError(f"--from-outputs {path} is empty; give it at least one record")
        for name, record in records:
            layout = _layout(record, name)
            try:
                outputs += layout.outputs(record, name)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{name} is no record of {layout.name}: {error!r}") from error
            layouts[layout.name] = layout
    if len(layouts) > 1:
        raise DataError(f"--from-outputs: the records are of several forms, {', '.join(sorted(layouts))}; score each apart")
    (layout,) = layouts.values()
    return Saved(paths, layout, outputs)


def _layout(record: Any, name: str) -> Layout:
    if not isinstance(record, dict):
        raise DataError(f"{name} is no JSON object but {str(record)[:60]!r}")
    for layout in LAYOUTS:
        if all(key in record for key in layout.fields):
            return layout
    known = "; ".join(f"{' and '.join(layout.fields)} ({layout.name})" for layout in LAYOUTS)
    raise DataError(f"{name} has {', '.join(record)}, which is no known form of outputs; known are: {known}")


@dataclass(frozen=True)
class Graded:
    """The responses to one problem, graded."""

    samples: list[Sample]
    labels: list[bool | None]
    scores: list[float | None]
    readable: bool
    """Whether the known answer parses; if not, nothing of this problem is scored, but what the file's own labels say."""


def as_sample(problem: Problem, text: str, extracted: str | None, verdict: Verdict) -> Sample:
    """A response as a sample, of which nothing is known but its text."""
    completion = Completion(EMPTY, EMPTY, EMPTY.astype(numpy.float32), text, "stop")
    return Sample(problem, completion, extracted, verdict, {}, None, 0)


def as_text(mode: Mode, checker: Checker) -> Manner:
    """Responses read as free text."""

    def judge(outputs: Sequence[Output]) -> list[tuple[Sample, bool]]:
        judged = []
        for output in outputs:
            gold = (read(output.gold, "text", "lenient") if output.gold_form == "text" else output.gold) or ""
            extracted = read(output.text, "text", mode, gold)
            problem = Problem(output.problem, "", gold or output.gold)
            judged.append((as_sample(problem, output.text, extracted, checker.check(extracted, gold)), is_readable(gold)))
        return judged

    return Manner(mode, judge)


def grade_outputs(outputs: Sequence[Output], judge: Judge, tell: Callable[[int], None]) -> dict[str, list[Graded]]:
    """Grade responses, by model and problem."""
    models: dict[str, dict[str, Graded]] = {}
    for start in range(0, len(outputs), PIECE):
        piece = outputs[start : start + PIECE]
        for output, (sample, scored) in zip(piece, judge(piece), strict=True):
            graded = models.setdefault(output.model, {}).setdefault(output.problem, Graded([], [], [], scored))
            graded.samples.append(sample)
            graded.labels.append(output.label)
            graded.scores.append(output.score)
        tell(start + len(piece))
    return {model: list(problems.values()) for model, problems in models.items()}


def outputs_report(problems: Sequence[Graded], checker: Checker, seed: int) -> dict[str, Any]:
    """Accuracy, pass@k and maj@k by the checker on problems whose known answer parses; the same by the file's labels on all;
    and where both differ."""
    scored = [graded for graded in problems if graded.readable]
    named = {graded.samples[0].problem.id: graded.samples[0].problem.answer for graded in problems if not graded.readable}
    content: dict[str, Any] = {
        "problems": len(problems),
        "samples": sum(len(graded.samples) for graded in problems),
        "unscored": {"count": len(named), "answers": named},
    }
    if scored:
        groups = [graded.samples for graded in scored]
        outcomes = [[sample.verdict.outcome for sample in group] for group in groups]
        for name in ("no_answer", "undecided"):
            content[name] = asdict(mean_over_problems([fmean(outcome == name for outcome in row) for row in outcomes]))
        lengths = [fmean(len(sample.completion.text) for sample in group) for group in groups]
        content["characters_per_chain"] = mean_over_clusters(lengths).plain()
        content |= _figures(scored, groups, checker, seed)
    if all(label is not None for graded in problems for label in graded.labels):
        content["labelled"] = _figures(problems, [_relabelled(graded) for graded in problems], checker, seed)
        content["agreement"], content["differing"] = _agreement(scored)
    return content


def _figures(problems: Sequence[Graded], groups: Sequence[Sequence[Sample]], checker: Checker, seed: int) -> dict[str, Any]:
    """Accuracy, and what many samples come to; with scores, the response with the highest, and the answer whose responses have
    the highest sum, all samples taken."""
    shares = [fmean(sample.verdict.correct for sample in group) for group in groups]
    content: dict[str, Any] = {"accuracy": asdict(mean_over_problems(shares)), **many(groups, checker, seed)}
    if any(score is None for graded in problems for score in graded.scores):
        return content
    best, weighted = [], []
    for graded, group in zip(problems, groups, strict=True):
        scores = [score or 0.0 for score in graded.scores]
        best.append(float(group[scores.index(max(scores))].verdict.correct))
        place = picked(answer_kinds(group, checker), scores)
        weighted.append(float(place is not None and group[place].verdict.correct))
    return {**content, "best_by_score": asdict(mean_over_problems(best)), "vote_by_score": asdict(mean_over_problems(weighted))}


def _relabelled(graded: Graded) -> list[Sample]:
    """The samples with what the file says of them in place of the checker's verdict."""
    return [
        replace(sample, verdict=Verdict("equal" if label else "different", "label", "the file says so"))
        for sample, label in zip(graded.samples, graded.labels, strict=True)
    ]


def _agreement(problems: Sequence[Graded]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    pairs = [pair for graded in problems for pair in zip(graded.samples, graded.labels, strict=True)]
    differing = [
        {"problem": sample.problem.id, "answer": sample.problem.answer, "extracted": sample.extracted,
         "verdict": sample.verdict.outcome, "label": label}
        for sample, label in pairs if sample.verdict.correct != label
    ]  # fmt: skip
    return (asdict(proportion(len(pairs) - len(differing), len(pairs))) if pairs else None), differing


def rows(models: Mapping[str, Sequence[Graded]]) -> Iterator[dict[str, Any]]:
    """A line a problem and model, as JSON has it."""
    for model, problems in models.items():
        for graded in problems:
            first = graded.samples[0].problem
            yield {
                "model": model,
                "problem": first.id,
                "answer": first.answer,
                "scored": graded.readable,
                "right": sum(sample.verdict.correct for sample in graded.samples),
                "n": len(graded.samples),
                "samples": [
                    {"extracted": sample.extracted, "verdict": sample.verdict.outcome, "why": sample.verdict.reason,
                     "label": label, "score": score}
                    for sample, label, score in zip(graded.samples, graded.labels, graded.scores, strict=True)
                ],
            }  # fmt: skip


def score_outputs(
    saved: Saved, manner: Manner, checker: Checker, seed: int, display: Display
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What saved outputs come to, and a line a problem."""
    with display.bar("grade", len(saved.outputs), "response") as bar:
        models = grade_outputs(saved.outputs, manner.judge, bar.update)
    subsets = derive_seed(seed, *manner.purpose) if manner.purpose else seed
    content = {
        "outputs": list(saved.paths),
        "form": saved.layout.name,
        "setup": {"extractor": manner.extractor, "checker": asdict(checker.policy), "seed": seed},
        "models": {model: outputs_report(problems, checker, subsets) for model, problems in models.items()},
    }
    return content, list(rows(models))
