"""The result of a run: `summary.json`, and the table that a person sees."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reft.compose import Composed
from reft.paired import LEAST_OF_SIGNS, LEAST_P
from reft.run import RunDirectory, round_name, step_name

PHASES = ("startup", "warmup", "reinforce", "self_training", "evaluate")
STAGES = {"warmup": "warm-up", "reinforced": "reinforced (step {} of {})", "self_trained": "trained (round {} of {})"}
"""Reports of a run, and what their columns are called."""
LENGTHS = ("tokens_per_chain", "tries_per_chain")
COUNTS = 5
"""Different numbers of samples that are named; of more, the fewest ones and the most."""
ESTIMATES = {
    "accuracy": "accuracy", "tokens per chain": "tokens_per_chain", "tries per chain": "tries_per_chain",
    "false verdicts": "verdict_error", "right answer, wrong step": "trace_error", "no final answer": "no_answer",
    "cut at the longest": "truncated", "undecided": "undecided",
}  # fmt: skip
"""Of a benchmark's report: what rows are called, and where they are."""
FAULTS = {
    "worker_restarts": "rollout worker replaced",
    "learner_restarts": "learner started again",
    "steps_repeated": "step done again",
}
"""What a run has outlived, and what it is called."""


def summarise_run(run: RunDirectory, composed: Composed) -> dict[str, Any]:
    """Write and return `summary.json` from the reports and counters of a run."""
    seconds = {phase: run.state.seconds[phase] for phase in PHASES if phase in run.state.seconds}
    content: dict[str, Any] = {"name": composed.name, "seed": composed.config.seed, "config_hash": composed.hash()}
    for name in STAGES:
        report = run.read_json(f"eval/{name}.json")
        if report is not None:
            content[name] = {
                "greedy": report["greedy"]["accuracy"],
                "sampled": report["sampled"]["accuracy"],
                **{key: value for key, value in report["sampled"].items() if key not in ("accuracy", "tokens")},
            }
    content |= {
        "best_step": run.state.best_step,
        "steps": composed.config.train.steps or composed.config.self_training.rounds,
        "tokens_sampled": run.state.tokens_sampled,
        "training_flops": sum(run.state.flops.values()),
        "seconds": {**seconds, "total": sum(seconds.values())},
        "peak_memory_bytes": run.state.peak_memory_bytes,
        "faults": {name: getattr(run.state, name) for name in FAULTS},
        "run_dir": str(run.path),
    }
    run.write_json("summary.json", content)
    return content


def read_summary(directory: Path) -> dict[str, Any] | None:
    """The summary of a run that is done, or None."""
    file = directory / "summary.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def print_summary(content: dict[str, Any]) -> None:
    """The table of a finished run, and what to do next, on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    stages = [name for name in STAGES if name in content]
    n = content[stages[0]]["greedy"]["n"]
    table = Table(title=f"{content['name']}, seed {content['seed']}: test split, n = {n}, 95% intervals", title_justify="left")
    table.add_column("")
    for name in stages:
        table.add_column(STAGES[name].format(content["best_step"], content["steps"]), justify="right")
    for mode in ("greedy", "sampled"):
        table.add_row(f"accuracy, {mode}", *(_estimate(content[name][mode]) for name in stages))
    _add_rates(table, [content[name] for name in stages])
    console.print(table)
    seconds = content["seconds"]
    phases = ", ".join(f"{phase.replace('_', '-')} {seconds[phase]:.0f} s" for phase in PHASES if phase in seconds)
    console.print(f"wall time {seconds['total']:.0f} s: {phases}")
    flops = f", {content['training_flops']:.2g} FLOPs of training" if "training_flops" in content else ""
    console.print(
        f"{content['tokens_sampled']:,} tokens sampled for training{flops}; "
        f"peak memory of all processes {content['peak_memory_bytes'] / 2**30:.1f} GiB"
    )
    if outlived := [f"{count} × {FAULTS[name]}" for name, count in content.get("faults", {}).items() if count]:
        console.print(f"outlived: {', '.join(outlived)}")
    run = content["run_dir"]
    names = {"reinforced": step_name, "self_trained": round_name}
    checkpoint = names[stages[-1]](content["best_step"]) if stages[-1] in names else "warmup"
    console.print(f"\nEverything is in {run}. Next:")
    hints = {
        f"reft sample {run}/checkpoints/{checkpoint}": "watch it think",
        f"reft report {run} --study": "a page: accuracy against training and test-time compute, every chain",
        f"tensorboard --logdir {run}/tensorboard": "the curves",
        f"less {run}/eval/{stages[-1]}.jsonl": "every chain of the evaluation, with its verdict",
    }
    if stages == ["warmup"]:
        hints["reft train CONFIG key=value ..."] = "reinforce it: the words of this command behind `train`"
    width = max(map(len, hints))
    for command, gives in hints.items():
        console.print(f"  {command:{width}}  {gives}")


def print_reports(content: dict[str, Any]) -> None:
    """The table of one evaluation, its modes side by side, on standard output."""
    modes = {mode: report for mode, report in content.items() if mode in ("greedy", "sampled")}
    n = content["greedy"]["accuracy"]["n"]
    table = Table(title=f"{content['checkpoint']}, {content['split']} split, n = {n}, 95% intervals", title_justify="left")
    table.add_column("")
    for mode in modes:
        table.add_column(mode, justify="right")
    table.add_row("accuracy", *(_estimate(report["accuracy"]) for report in modes.values()))
    if search := content.get("search"):
        labels = {"vote": "vote@{}", "rerank": "rerank@{}", "upper_bound": "pass@{}, upper bound"}
        for name, label in labels.items():
            if name in search:
                table.add_row(label.format(search["chains"]), "–", _estimate(search[name]))
    _add_rates(table, list(modes.values()))
    table.add_row("FLOPs a query", *(f"{report['flops_per_query']:.3g}" for report in modes.values()))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    if search:
        spent = f"{search['tokens_per_query']:.1f} tokens and {search['flops_per_query']:.3g} FLOPs a query"
        scoring = search.get("scoring_flops_per_query")
        more = "" if scoring is None else f", and {scoring:.3g} FLOPs more for the classifier"
        console.print(f"{search['chains']} chains take {spent}{more}")
    console.print(f"written to {content['file']}")


def print_benchmark(content: dict[str, Any]) -> None:
    """The table of one benchmark, its modes side by side, with what many samples make together, on standard output."""
    modes = {mode: content[mode] for mode in ("greedy", "sampled")}
    samples, n = content["setup"]["samples"], content["problems"]
    title = f"{content['checkpoint']}, {content['benchmark']}, n = {n}, 95% intervals"
    headings = ["", "greedy", f"sampled, {samples} a problem"]
    table = Table(*headings, title=title, title_justify="left")
    for label, key in ESTIMATES.items():
        found = [report["estimates"][key] for report in modes.values()]
        if any(found):
            table.add_row(
                label, *("–" if estimate is None else _estimate(estimate, 2 * (key in LENGTHS)) for estimate in found)
            )
    table.add_row("FLOPs a query", *(f"{report['flops_per_query']:.2g}" for report in modes.values()))
    for label, name in (("pass@{}", "pass@k"), ("maj@{}", "maj@k")):
        for k, estimate in content["sampled"][name].items():
            if k != "1":
                table.add_row(label.format(k), "–", _estimate(estimate))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    _print_left_out(console, content)
    console.print(f"written to {content['file']}")


def print_search(content: dict[str, Any]) -> None:
    """The table of one exam taken by a strategy, a row a budget, on standard output."""
    curve, *bounds = content["curves"]
    what = f"{content['split']} split" if "split" in content else content["benchmark"]
    title = f"{content['checkpoint']}, {what}, {content['strategy']}, n = {content['problems']}, 95% intervals"
    table = Table(title=title, title_justify="left")
    asked = all("used" in point for point in curve["points"])
    headings = [curve["unit"], "accuracy", "gain", "tokens a query", "FLOPs a query", "no answer"]
    for heading in [*headings, *["one is right"] * len(bounds), *[f"{curve['unit']} used", "no more than asked"] * asked]:
        table.add_column(heading, justify="right", no_wrap=True)
    for place, point in enumerate(curve["points"]):
        gain = point["gain"]
        row = [str(point["budget"]), _estimate(point["accuracy"])]
        row += ["" if gain is None else f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"]
        row += [_estimate(point["tokens"], 1), f"{point['flops_per_query']:.3g}", f"{point['no_answer']['value']:.3f}"]
        row += [_estimate(bound["points"][place]["accuracy"]) for bound in bounds]
        row += [_estimate(point["used"], 2), _estimate(point["control"])] if asked else []
        table.add_row(*row)
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 140)  # a row is a line, though it be cut by a narrow terminal
    console.print(table)
    if any(point["discarded_per_query"] for point in curve["points"]):
        amounts = ", ".join(f"{point['discarded_per_query']:.1f}" for point in curve["points"])
        console.print(f"of these tokens a query {amounts} were drawn behind an ending before the engine looked for one")
    _print_left_out(console, content)
    console.print(f"written to {content['file']}")


def print_pair(content: dict[str, Any]) -> None:
    """Two checkpoints on the same problems, on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{content['checkpoint']} against {content['against']}, {content['benchmark']}, n = {content['problems']}")
    for mode in ("greedy", "sampled"):
        found = content[mode]
        least = LEAST_P if found["test"].startswith("McNemar") else LEAST_OF_SIGNS
        console.print(
            f"  {mode:8} {found['difference']['value']:+.3f} [{found['difference']['low']:+.3f}, "
            f"{found['difference']['high']:+.3f}], better on {found['first_only']}, worse on {found['second_only']}; "
            f"p {'≤' if found['p'] <= least else '='} {found['p']:.2g} ({found['test']})"
        )
    console.print(f"written to {content['file']}")


def print_outputs(content: dict[str, Any]) -> None:
    """What saved outputs come to, a table a model, on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    for model, report in content["models"].items():
        counts = f"{report['problems']:,} problems, {report['samples']:,} responses, {report['unscored']['count']} not scored"
        title = f"{model or content['outputs'][0]} ({content['form']}): {counts}; 95% intervals"
        columns = {"checker": report} | ({"file's labels": report["labelled"]} if "labelled" in report else {})
        table = Table("", *columns, title=title, title_justify="left")
        rows: dict[str, list[Any]] = {}
        for place, found in enumerate(columns.values()):
            for name, value in found.items():
                flat = {name[:-1] + k: inner for k, inner in value.items()} if "@" in name else {name: value}
                for key, estimate in flat.items():
                    if isinstance(estimate, dict) and "low" in estimate and key != "agreement":
                        rows.setdefault(key.replace("_", " "), [None] * len(columns))[place] = estimate
        for label, found in rows.items():
            table.add_row(
                label, *("–" if value is None else _estimate(value, 1 if value["value"] > 1 else 0) for value in found)
            )
        console.print(table)
        if uneven := report.get("uneven") or report.get("labelled", {}).get("uneven"):
            console.print(_uneven(uneven))
        if report.get("agreement"):
            console.print(f"checker and labels agree: {_estimate(report['agreement'])}")
    console.print(f"written to {content['file']}")


def _uneven(content: dict[str, Any]) -> str:
    """How many samples problems have, where they have not as many, and what therefore is not told."""
    counts = sorted((int(samples), problems) for samples, problems in content["problems_by_samples"].items())
    some = counts if len(counts) <= COUNTS else [*counts[: COUNTS - 1], counts[-1]]
    told = [f"{problems:,} {'has' if problems == 1 else 'have'} {samples}" for samples, problems in some]
    told.insert(-1, "…") if len(some) < len(counts) else None
    ks = content["left_out"]
    return (
        f"problems have different numbers of samples: {', '.join(told)}; pass@k and maj@k are told up to the fewest, "
        f"{counts[0][0]}, and left out for k = {', '.join(map(str, ks))}"
    )


def print_comparison(content: dict[str, Any]) -> None:
    """The table of methods side by side, and where the rest is, on standard output."""
    n = content["warmup"]["greedy"]["n"]
    title = f"{content['name']}, seed {content['seed']}, equal {content['budget']}: test split, n = {n}, 95% intervals"
    table = Table(title=title, title_justify="left")
    for column in ("method", "greedy", "sampled", "tokens a chain", "chains", "FLOPs", "minutes"):
        table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
    warmup = content["warmup"]
    rates = [_estimate(warmup["greedy"]), _estimate(warmup["sampled"]), f"{warmup['tokens_per_chain']:.1f}"]
    table.add_row("warm-up", *rates, "", "", "")
    for result in content["methods"]:
        spent = result["spending"]
        table.add_row(
            result["method"],
            *(_estimate(result["accuracy"][mode]) for mode in ("greedy", "sampled")),
            f"{result['tokens_per_chain']:.1f}",
            f"{spent['chains']:,}",
            f"{spent['flops']:.2g}",
            f"{spent['seconds'] / 60:.1f}",
        )
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 112)  # a row is a line, though it be cut by a narrow terminal
    console.print(table)
    console.print("what was spent behind the warm-up, without evaluations; sft's chains are imitated, all others' sampled")
    for method, reason in content["failed"].items():
        console.print(f"{method} failed: {reason}")
    files = f"comparison-{content['budget']}"
    console.print(f"written to {content['directory']}/{files}.json, drawn in {files}.svg; each method has its run there")


def _print_left_out(console: Console, content: dict[str, Any]) -> None:
    """Problems of an exam that are in no rate."""
    for key, what in (
        ("unscored", "with a known answer that does not parse, not scored"),
        ("too_long", "too long for the model"),
    ):
        if count := content[key]["count"]:
            named = list(content[key].get("answers", content[key].get("problems")))[:3]
            console.print(f"{count} problems {what}: {', '.join(named)}{' …' * (count > 3)}")


def _add_rates(table: Table, columns: list[dict[str, Any]]) -> None:
    rows = {
        "tokens per chain": "tokens_per_chain", "tries per chain": "tries_per_chain",
        "repeated tries per chain": "repeated_tries", "valid chains": "valid", "false verdicts": "verdict_error",
        "right answer, wrong step": "trace_error", "no final answer": "no_answer", "cut at the longest": "truncated",
    }  # fmt: skip
    for label, key in rows.items():
        values = [column[key] for column in columns]
        if any(value is not None for value in values):
            table.add_row(label, *("–" if value is None else f"{value:.2f}" for value in values))


def _estimate(content: dict[str, Any], decimals: int = 0) -> str:
    """An estimate with its interval; `decimals` other than those of shares."""
    places = decimals or 3
    if content["low"] is None:
        return f"{content['value']:.{places}f} [–]"
    return f"{content['value']:.{places}f} [{content['low']:.{places}f}, {content['high']:.{places}f}]"
