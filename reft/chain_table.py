"""What `reft chains` found, on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

CURVES = {
    "cap": "tries cut",
    "wait": "tries cut and called for",
    "one_try_vote": "vote of one-try chains",
    "one_try_oracle": "oracle over one-try chains",
    "chain_vote": "vote of whole chains",
    "chain_oracle": "oracle over whole chains",
}
ALTERATIONS = {
    "none": "steps as they were",
    "cut": "no steps",
    "half": "the first half of the steps",
    "shuffle": "steps in another order",
    "filler": "filler of the same length",
    "swap": "another problem's steps",
    "follow": "false value gone on from",
}
QUALITY = {
    "repeated_tries": "repeated tries, of all tries",
    "verdict_error": "false verdicts, of all verdicts",
    "trace_error": "right answer, wrong step, of right answers",
}


def print_chains(contents: list[dict[str, Any]]) -> None:
    """The tables of one policy or two, each number with its interval, and n where it is not the problems'."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 124)  # a row is a line, though it be cut by a narrow terminal
    for content in contents:
        natural = content["natural"]
        problems = natural["accuracy"]["n"]
        console.print(f"\n{content['checkpoint']}, {content['split']} split, {problems} problems, 95% intervals", style="bold")
        tries = "" if natural["tries"] is None else f", {natural['tries']:.2f} tries"
        console.print(f"natural length: {natural['tokens_per_query']:.1f} tokens{tries}; accuracy {show(natural['accuracy'])}")
        _print_curves(console, content)
        _print_difficulty(console, content["difficulty"])
        _print_rows(console, "Use of the chain: accuracy behind steps that are altered", ALTERATIONS, content["ablations"])
        _print_rows(console, "What is in the chains", QUALITY, content["quality"])
        _print_rows(console, "Tokens of chains that are", {"right": "right", "wrong": "wrong"}, content["length"])
        if "gain" in content:
            _print_gain(console, content["gain"])
        console.print(f"written to {content['file']}")


def show(estimate: dict[str, Any] | None, n: bool = False, sign: bool = False) -> str:
    """A number with its interval, and its n and its sign where wanted."""
    if estimate is None:
        return "–"
    value, low, high = (f"{estimate[name]:{'+' if sign else ''}.3f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" + (f"  n = {estimate['n']}" if n else "")


def _print_curves(console: Console, content: dict[str, Any]) -> None:
    table = Table(title="Accuracy against tokens; * takes more than the natural length", title_justify="left")
    for column in ("", "budget", "tokens a query", "FLOPs a query", "accuracy", "gain"):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for curve in content["curves"]:
        for place, point in enumerate(curve["points"]):
            table.add_row(
                CURVES.get(curve["strategy"], curve["strategy"]) if place == 0 else "",
                str(point["budget"]),
                f"{point['tokens_per_query']:.1f}{'*' if point['beyond_natural'] else ' '}",
                f"{point['flops_per_query']:.2g}",
                show(point["accuracy"]),
                show(point["gain"], sign=True),
                end_section=place == len(curve["points"]) - 1,
            )
    console.print(table)
    for name, found in content["scaling"].items():
        what = "none, since no budget goes beyond the natural length" if found is None else _gained(found)
        word = "upper bound of scaling by" if name.endswith("oracle") else "scaling by"
        console.print(f"{word} {CURVES.get(name, name)}: {what}")
    for point in content["sequential"]:
        gain = show(point["gain"], sign=True)
        console.print(
            f"{point['budget']} tries one behind the other against as many chains of one, picked by an oracle: {gain}"
        )


def _gained(found: dict[str, Any]) -> str:
    gain = found["gain"]
    word = "" if gain["low"] > 0 else ", which may be nothing" if gain["high"] >= 0 else ", a loss"
    return f"{show(gain, sign=True)} on the natural accuracy, budget {found['budget']}{word}"


def _print_difficulty(console: Console, found: dict[str, Any] | None) -> None:
    if found is None:
        console.print("difficulty: the task cannot tell")
        return
    table = Table(title="Length against difficulty", title_justify="left")
    for column in ("difficulty", "problems", "tokens", "accuracy"):
        table.add_column(column, justify="right")
    for row in found["bins"]:
        name = f"{row['from']:.3g}" + ("" if row["from"] == row["to"] else f" – {row['to']:.3g}")
        table.add_row(name, str(row["tokens"]["n"]), show(row["tokens"]), show(row["accuracy"]))
    console.print(table)
    if found["slope"] is None:
        console.print("all problems are as difficult, so there is no slope")
    else:
        console.print(f"tokens for each unit of difficulty {show(found['slope'])}; Spearman {show(found['spearman'])}")


def _print_rows(console: Console, title: str, labels: dict[str, str], values: dict[str, Any] | None) -> None:
    rows = {label: values[name] for name, label in labels.items() if (values or {}).get(name)} if values else {}
    if not rows:
        return
    table = Table(title=title, title_justify="left", show_header=False)
    for label, value in rows.items():
        table.add_row(label, show(value, n=True))
    console.print(table)


def _print_gain(console: Console, gain: dict[str, Any]) -> None:
    parts = {"total": "in all", "quality": "quality: at the first one's tokens", "persistence": "persistence: by going on"}
    _print_rows(console, f"Gain on {gain['before']}", parts, gain)
    for name, points in gain["matched"].items():
        texts = [f"{point['budget']}: {show(point['gain'], sign=True)}" for point in points]
        console.print(f"gain at equal budgets, {CURVES.get(name, name)}: {'; '.join(texts)}")
