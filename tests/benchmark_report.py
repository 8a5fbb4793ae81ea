"""How big the page of a long run is, and how soon it opens: `python -m tests.benchmark_report [STEPS] [SAMPLES]`.

A run as `tests/report/runs.py` makes it, of 200 steps with 100 chains each unless told otherwise, opened in a headless
Chromium: from the call to where charts that are seen are drawn and chains are listed; and a filter's time.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from reft.report.page import build_page
from reft.report.read import read_run
from tests.report.browser import Browser
from tests.report.runs import write_run

TIMES = 3


def main() -> None:
    steps, samples = (int(word) for word in (*sys.argv[1:3], *("200", "100")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = write_run(folder / "run", steps, samples)
        begun = time.perf_counter()
        page, packed = build_page([read_run(run, "run")])
        made = time.perf_counter() - begun
        file = folder / "report.html"
        file.write_text(page, encoding="utf-8")
        opened, filtered = [], []
        for number in range(TIMES):
            browser = Browser(folder / f"profile-{number}")
            browser.size(1280, 900)
            opened.append(browser.open(file))
            filtered.append(browser.run("{const begun = performance.now(); filter(); performance.now() - begun}"))
            browser.close()
        size = file.stat().st_size / 1e6
    print(f"{steps} steps, {packed.shown:,} of {packed.total:,} chains: {size:.1f} MB, made in {made:.1f} s")
    print(f"opens in {median(opened):.2f} s ({min(opened):.2f} to {max(opened):.2f}, {TIMES} times, each in a new browser)")
    print(f"a filter takes {median(filtered):.0f} ms")


if __name__ == "__main__":
    main()
