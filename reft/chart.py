"""Charts, by matplotlib."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot

MODES = {"greedy": ("o", "#0b7285"), "sampled": ("s", "#e8590c")}
"""Marker and colour of each way to decode: apart in grey as well."""


def draw_comparison(content: dict[str, Any], file: Path) -> None:
    """Accuracy of each method with its interval, and dev accuracy against chains, as an SVG."""
    results = content["methods"]
    style = {"svg.hashsalt": content["name"], "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, (bars, curves) = pyplot.subplots(1, 2, figsize=(10, 0.45 * len(results) + 2.2), layout="constrained")
        names = ["warm-up", *(result["method"] for result in results)]
        rows = [content["warmup"], *(result["accuracy"] for result in results)]
        for shift, (mode, (marker, colour)) in zip((-0.12, 0.12), MODES.items(), strict=True):
            values = [row[mode]["value"] for row in rows]
            reach = [
                [row[mode]["value"] - row[mode]["low"] for row in rows],
                [row[mode]["high"] - row[mode]["value"] for row in rows],
            ]
            places = [at + shift for at in range(len(rows))]
            bars.errorbar(values, places, xerr=reach, fmt=marker, color=colour, capsize=2, markersize=5, label=mode)
        bars.set(yticks=range(len(names)), yticklabels=names, xlim=(-0.02, 1.02), xlabel="accuracy on test, 95% intervals")
        bars.invert_yaxis()
        bars.grid(axis="x", alpha=0.3)
        bars.legend(loc="best", frameon=False)
        for result in results:
            chains = [0, *(point[0] for point in result["curve"])]
            sampled = [content["warmup"]["sampled"]["value"], *(point[2] for point in result["curve"])]
            curves.plot(chains, sampled, marker=".", label=result["method"])
        curves.set(xlabel="chains behind the warm-up", ylabel="sampled accuracy on dev (at 0: test)", ylim=(-0.02, 1.02))
        curves.grid(alpha=0.3)
        curves.legend(loc="best", frameon=False)
        figure.suptitle(f"{content['name']}, seed {content['seed']}: equal {content['budget']}")
        figure.savefig(file, format="svg", metadata={"Date": None})
        pyplot.close(figure)
