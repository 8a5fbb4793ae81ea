"""What `reft chains` found, on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from reft.chain_lengths import ALLOWED_GROWTH, judge_growth
from rollout.search.names import TOGETHER, counted, words

ALTERATIONS = {
    "natural": "the whole chain as it was sampled",
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
    "new_tries_per_token": "tries not made before, a token",
    "verdict_error": "false verdicts, of all verdicts",
    "trace_error": "right answer, wrong step, of right answers",
}


def print_chains(contents: list[dict[str, Any]]) -> None:
    """The tables of one policy or two, each number with its interval, and n where it is not the problems'."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 140)  # a row is a line, though it be cut by a narrow terminal
    for content in contents:
        natural = content["natural"]
        problems = natural["accuracy"]["n"]
        console.print(f"\n{content['checkpoint']}, {content['split']} split, {problems} problems, 95% intervals", style="bold")
        tries = "" if natural["tries"] is None else f", {natural['tries']:.2f} tries"
        if (spent := content["compute"]["training_flops"]) is not None:
            console.print(f"training up to it: {spent:.3g} FLOPs")
        console.print(f"natural length: {natural['tokens_per_query']:.1f} tokens{tries}; accuracy {show(natural['accuracy'])}")
        _print_curves(console, content)
        _print_asked(console, content["curves"])
        _print_difficulty(console, content["difficulty"])
        _print_altered(console, content["ablations"])
        _print_rows(console, "What is in the chains", QUALITY, content["quality"])
        _print_rows(console, "Tokens of chains that are", {"right": "right", "wrong": "wrong"}, content["length"])
        if "gain" in content:
            _print_gain(console, content["gain"], {curve["strategy"]: _name(curve) for curve in content["curves"]})
        console.print(f"written to {content['file']}")


def show(estimate: dict[str, Any] | None, n: bool = False, sign: bool = False) -> str:
    """A number with its interval, where there is one, and its n and its sign where wanted."""
    return _told(estimate, f"{'+' if sign else ''}.3f") + (f"  n = {estimate['n']}" if n and estimate else "")


def _short(estimate: dict[str, Any] | None) -> str:
    """A length with its interval."""
    return _told(estimate, ".1f")


def _told(estimate: dict[str, Any] | None, form: str) -> str:
    if estimate is None:
        return "–"
    ends = [estimate[name] for name in ("low", "high")]
    return f"{estimate['value']:{form}} [" + ("–" if None in ends else ", ".join(f"{end:{form}}" for end in ends)) + "]"


def _print_curves(console: Console, content: dict[str, Any]) -> None:
    table = Table(title="Accuracy against tokens; * takes more than the natural length", title_justify="left")
    for column in ("", "budget", "tokens a query", "FLOPs a query", "accuracy", "gain"):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    names = {curve["strategy"]: _name(curve) for curve in content["curves"]}
    for curve in content["curves"]:
        for place, point in enumerate(curve["points"]):
            table.add_row(
                names[curve["strategy"]] if place == 0 else "",
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
        console.print(f"{word} {names[name]}: {what}")
    for curve in content["curves"]:
        console.print(f"{names[curve['strategy']]}: {_settled(curve)}")
    for point in content["sequential"]:
        gain = show(point["gain"], sign=True)
        tries = counted(point["budget"], "tries")
        console.print(f"{tries} one behind the other against as many chains of one, picked by an oracle: {gain}")
    budgets = {row["budget"] for row in content["equal_tokens"]}
    longs = {budget: f"{names.get('wait')}, {budget}" for budget in budgets} | {None: "natural length"}
    _print_against(console, [(longs[row["budget"]], row) for row in content["equal_tokens"]])


def _print_against(console: Console, rows: list[tuple[str, dict[str, Any]]], whose: str = "") -> None:
    """One long chain against several short ones."""
    if not rows:
        return
    table = Table(title=f"Gain of one chain on several{whose} that take as many tokens", title_justify="left")
    for column in ("", "tokens", "against", "tokens", "gain"):
        table.add_column(column, justify="right" if column in ("tokens", "gain") else "left", no_wrap=True)
    before = None
    for long, row in rows:
        tokens = [f"{row[name]:.1f}" for name in ("tokens_per_query", "their_tokens")]
        name, mine = ("", "") if long == before else (long, tokens[0])
        table.add_row(name, mine, TOGETHER[row["against"]], tokens[1], show(row["gain"], sign=True))
        before = long
    console.print(table)


def _name(curve: dict[str, Any]) -> str:
    return words(curve["strategy"], curve["unit"])


def _settled(curve: dict[str, Any]) -> str:
    """Up to where a curve gains, and its plateau."""
    found = curve["plateau"]
    if found is None:
        plateau = "no plateau"
    else:
        gain = found["gain"]
        value, low, high = (f"{gain[name]:+.3f}" for name in ("value", "low", "high"))
        plateau = f"plateau of {found['accuracy']:.3f} from budget {found['budget']}, {value} [{low}, {high}] a doubling"
        plateau += "" if found["certain"] else ", not for certain"
    first, last = curve["points"][0]["budget"], curve["gains_until"]
    gains = "no gain is for sure" if last == first else f"the last sure gain is at budget {last}"
    return f"{gains}; {plateau}"


def _gained(found: dict[str, Any]) -> str:
    gain = found["gain"]
    word = "" if gain["low"] > 0 else ", which may be nothing" if gain["high"] >= 0 else ", a loss"
    return f"{show(gain, sign=True)} on the natural accuracy, budget {found['budget']}{word}"


def _print_asked(console: Console, curves: list[dict[str, Any]]) -> None:
    """Tries that were asked for against those that were made."""
    points = [point for curve in curves if curve["strategy"] == "ask" for point in curve["points"] if "used" in point]
    if not points:
        return
    table = Table(title="Tries asked for, and used", title_justify="left")
    for column in ("asked", "used", "no more than asked", "accuracy"):
        table.add_column(column, justify="right")
    for point in points:
        table.add_row(str(point["budget"]), *(show(point[name]) for name in ("used", "control", "accuracy")))
    console.print(table)


def _print_difficulty(console: Console, found: dict[str, Any] | None) -> None:
    if found is None:
        console.print("difficulty: the task cannot tell")
        return
    table = Table(title="Length against difficulty", title_justify="left")
    for column in ("difficulty", "problems", "tokens", "of right chains", "of wrong chains", "accuracy"):
        table.add_column(column, justify="right")
    for row in found["bins"]:
        name = f"{row['from']:.3g}" + ("" if row["from"] == row["to"] else f" – {row['to']:.3g}")
        tokens = [_short(row[kind]) for kind in ("tokens", "tokens_right", "tokens_wrong")]
        table.add_row(name, str(row["tokens"]["n"]), *tokens, show(row["accuracy"]))
    console.print(table)
    if found["slope"] is None:
        console.print("all problems are as difficult, so there is no slope")
    else:
        most = f", {found['spearman_most']:.3f} at most where no two lengths are equal" if found.get("spearman_most") else ""
        console.print(f"tokens for each unit of difficulty {show(found['slope'])}; Spearman {show(found['spearman'])}{most}")


def _print_altered(console: Console, found: dict[str, Any] | None) -> None:
    """Each alteration, and beside it the same chains with their steps as they were."""
    labels = {label: name for name, label in ALTERATIONS.items() if (found or {}).get(name)}
    if not found or not labels:
        return
    title = "Use of the chain: accuracy behind steps that are altered; what stands behind steps is drawn anew"
    table = Table(title=title, title_justify="left")
    for column in ("", "accuracy", "n", "these chains, steps as they were", "difference"):
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for label, name in labels.items():
        same = found["against"].get(name)
        beside = (show(same["none"]), show(same["difference"], sign=True)) if same else ("", "")
        table.add_row(label, show(found[name]), str(found[name]["n"]), *beside)
    console.print(table)


def _print_rows(console: Console, title: str, labels: dict[str, str], values: dict[str, Any] | None) -> None:
    rows = {label: values[name] for name, label in labels.items() if (values or {}).get(name)} if values else {}
    if not rows:
        return
    table = Table(title=title, title_justify="left", show_header=False)
    for label, value in rows.items():
        table.add_row(label, show(value, n=True))
    console.print(table)


def _print_gain(console: Console, gain: dict[str, Any], names: dict[str, str]) -> None:
    parts = {"total": "in all", "quality": "quality: at the first one's tokens", "persistence": "persistence: by going on"}
    _print_rows(console, f"Gain on {gain['before']}", parts, gain)
    for name, points in gain["matched"].items():
        texts = [f"{point['budget']}: {show(point['gain'], sign=True)}" for point in points]
        console.print(f"gain at equal budgets, {names.get(name, name)}: {'; '.join(texts)}")
    _print_against(console, [("its natural length", row) for row in gain["equal_tokens"]], " of the first one's")
    _print_compute(console, gain)
    _print_break_even(console, gain.get("break_even") or [])
    if gain["slope"] is not None:
        console.print(f"tokens more for each unit of difficulty: {show(gain['slope'], sign=True)}")
    if (easiest := gain["easiest"]) is not None:
        grown = judge_growth(easiest["times"]["low"], easiest["times"]["high"])
        grown = f"{ALLOWED_GROWTH} or less is not padded: {grown}"
        console.print(f"length on the easiest problems: {show(easiest['times'])} times the first one's; {grown}")


def _print_compute(console: Console, gain: dict[str, Any]) -> None:
    """What training has cost, and a query costs, of the first and of this one."""
    if None not in (spent := gain.get("training_flops", [None])):
        console.print(f"training: {spent[0]:.3g} FLOPs up to the first one, {spent[1]:.3g} up to this one")
    for whose, row in zip(("the first one's", "its own"), gain["equal_accuracy"], strict=True):
        tokens = ["never" if value is None else f"{value:.1f}" for value in row["tokens_per_query"]]
        console.print(
            f"tokens a query for {whose} natural accuracy, {row['accuracy']['value']:.3f}: {tokens[0]} of the first one's, "
            f"{tokens[1]} of its own"
        )


def _print_break_even(console: Console, rows: list[dict[str, Any]]) -> None:
    """At equal accuracy, what a query costs of both, and from how many of them on training longer has been cheaper in all."""
    if not rows:
        return
    first = rows[0]
    more = f"{first['training'][1] - first['training'][0]:.3g}"
    title = f"Break-even: from so many queries on, {first['later']} has been cheaper than {first['earlier']}, for all that its"
    table = Table(title=f"{title} training has cost {more} FLOPs more", title_justify="left")
    for column in ("accuracy", *(f"FLOPs a query, {first[name]}" for name in ("earlier", "later")), "queries"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        costs = ["never" if cost is None else f"{cost:.3g}" for cost in row["query"]]
        table.add_row(f"{row['accuracy']:.3f}", *costs, _queries(row))
    console.print(table)


def _queries(row: dict[str, Any]) -> str:
    """Of break-even, with those where accuracies are at the ends of their intervals that speak for training, and against it."""
    low, high = ("never" if row[name] is None else f"{row[name]:.3g}" for name in ("low", "high"))
    if row["queries"] is not None or row["never"]:
        return f"{'never' if row['never'] else format(row['queries'], '.3g')} [{low}, {high}]"
    earlier, later = row["query"]
    return "–" if earlier == later else "only training reaches it" if earlier is None else "only the earlier one reaches it"
