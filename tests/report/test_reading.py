"""The page for all who read it: by keyboard, on phones, in the dark, on paper; and what it holds against what."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("plotly", reason="the report draws with plotly")

from reft.report.page import build_page
from reft.report.read import read_log, read_run
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer
from tests.report.browser import CHROMIUM, Browser
from tests.report.runs import chain_row, write_lines, write_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; on Debian: apt install chromium")
CONTRAST = """(selector) => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => below.map((value, place) => value + (top[place] - value) * (top[3] ?? 1)).slice(0, 3);
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    return over(numbers(getComputedStyle(element).backgroundColor), ground(element.parentElement));
  };
  const light = (rgb) => rgb.map((value) => value / 255).map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
    .reduce((sum, value, place) => sum + value * [.2126, .7152, .0722][place], 0);
  return [...document.querySelectorAll(selector)].map((element) => {
    const [a, b] = [over(numbers(getComputedStyle(element).color), ground(element)), ground(element)].map(light);
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  });
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs; of one problem, chains at all steps of both, and greedy ones of one evaluation alone."""
    folder = tmp_path_factory.mktemp("report")
    runs = [write_run(folder / name, steps=5, samples=4) for name in ("one", "two")]
    for run in runs:
        for step in (1, 5):
            row = chain_row(step, step, True, 7, word_tokenizer(SignedSum().words(), 80)) | {
                "problem": "the same",
                "prompt": "the same",
            }
            write_lines(run / "samples" / f"step_{step:06d}.jsonl", [row])
    (runs[1] / "summary.json").unlink()
    file = folder / "report.html"
    file.write_text(build_page([read_run(run, run.name) for run in runs])[0], encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    browser.complaints.clear()
    browser.size(1280, 900)
    browser.prefer("light")
    browser.open(page)
    yield browser
    assert browser.complaints == []


def choose(browser: Browser, problem: str, count: int) -> None:
    browser.run(f"document.getElementById('problem').value = '{problem}'; filter()")
    assert browser.run("book.found.length") == count


def titles(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "[...document.querySelectorAll('.versus .note')].map((e) => e.firstChild.textContent.trim())"
    )
    return found


def test_before_and_after_are_of_one_run_and_one_mode(opened: Browser) -> None:
    choose(opened, "> 5000 ?", 12)  # three evaluations, greedy and sampled, of two runs
    for place in range(12):
        opened.run(f"select({place})")
        run = opened.run("book.sources[book.rows[book.shown][at.source]][0]")
        assert titles(opened) == [f"before: step 0, {run}: readiness, greedy", f"after: step 5, {run}: reinforced, greedy"]
    choose(opened, "the same", 4)
    run = opened.run("book.sources[book.rows[book.shown][at.source]][0]")
    assert titles(opened) == [f"before: step 1, {run}: training", f"after: step 5, {run}: training"]


def test_without_an_earlier_chain_of_the_same_mode_there_is_no_before(opened: Browser) -> None:
    choose(opened, "> 5000 ?", 12)
    opened.run("book.rows.forEach((row) => { if (modeOf(row) === 'greedy') row[at.step] = 3; })")
    opened.run("select(0)")
    assert all(title.endswith("sampled") for title in titles(opened))
    opened.run("book.rows.forEach((row) => { row[at.step] = 3; }); select(0)")
    assert titles(opened) == []
    assert "The same problem: 12 chains" in opened.run("document.getElementById('chain').textContent")


def test_a_run_that_is_not_finished_says_how_far_it_is(opened: Browser) -> None:
    cards = opened.run("[...document.querySelectorAll('.run')].map((e) => e.textContent)")
    assert ["not finished: step 5 of 5" in card for card in cards] == [False, True]


def test_links_to_what_is_not_there_are_hidden(browser: Browser, shared: Path, tmp_path: Path) -> None:
    file = tmp_path / "o1.html"
    log = read_log(shared / "data" / "o1_scaling" / "results_log_majority_vote.json", 30)
    file.write_text(build_page([], log)[0], encoding="utf-8")
    browser.open(file)
    seen = "[...document.querySelectorAll('nav a, .skip')].filter((e) => !e.hidden).map((e) => e.hash)"
    assert browser.run(seen) == ["#compute"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_every_shade(opened: Browser, scheme: str) -> None:
    opened.prefer(scheme)
    opened.until(f"document.documentElement.dataset.theme === '{scheme}'")
    opened.run("book.rows.forEach((row) => { row[at.logprobs]?.forEach((_, place, all) => { all[place] = -20 * place; }); })")
    choose(opened, "the same", 4)
    ratios = opened.run(f"({CONTRAST})('#chain .token')")
    assert len(ratios) > 20
    assert min(ratios) >= 4.5
    opened.run("book.rows.forEach((row) => row[at.logprobs]?.fill(-900)); select(1)")
    assert min(opened.run(f"({CONTRAST})('#chain .token.end')")) >= 4.5
    assert min(opened.run(f"({CONTRAST})('#chain .badge, .note, .facts, .tile .label, .count')")) >= 4.5


def test_paper_is_light_and_the_dark_comes_back(opened: Browser) -> None:
    opened.prefer("dark")
    opened.until("isDark()")
    opened.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.run("getComputedStyle(document.getElementById('filters')).display") == "none"
    assert min(opened.run(f"({CONTRAST})('#chain .token, .badge')")) >= 4.5
    opened.call("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    paper = opened.print()
    assert paper.startswith(b"%PDF-")
    assert paper.count(b"/Type /Page\n") > 1
    opened.until("isDark()")
    assert opened.run("document.querySelectorAll('.plot').length") >= 2 + 4
    assert opened.run("document.querySelectorAll('.plot:not(.js-plotly-plot)').length") == 0, "all are drawn for paper"


def test_escape_leads_to_the_list_from_the_chains_alone(opened: Browser) -> None:
    opened.run("document.getElementById('theme').focus()")
    opened.press("Escape")
    assert opened.run("document.activeElement.id") == "theme"
    opened.run("document.querySelector('#chain button').focus()")
    opened.run("document.getElementById('chain').focus()")
    opened.press("Escape")
    assert opened.run("document.activeElement.id") == "list"


def test_charts_have_their_numbers(opened: Browser) -> None:
    opened.run("document.querySelectorAll('details.numbers').forEach((e) => { e.open = true; })")
    opened.until("document.querySelectorAll('#test-time .numbers tbody tr').length > 0")
    points = opened.run("Number(document.querySelector('#test-time .plot').dataset.points)")
    assert opened.run("document.querySelectorAll('#test-time .numbers tbody tr').length") == points
    heads = "[...document.querySelectorAll('#test-time .numbers th')].map((e) => e.textContent)"
    assert opened.run(heads) == ["curve", "budget", "FLOPs a query", "accuracy", "interval", "n"]
    opened.run("[...document.querySelectorAll('#test-time .pick button')].at(-1).click()")
    assert opened.run(heads)[2] == "tokens a query"
    assert opened.run("document.querySelectorAll('#learning .numbers tbody tr').length") > 20


def test_tables_can_be_reached_and_say_where_they_are_cut(opened: Browser) -> None:
    opened.size(375, 740, phone=True)
    found = opened.run("[...document.querySelectorAll('.scroll')].map((e) => [e.tabIndex, e.role, e.ariaLabel])")
    assert found[:2] == [[0, "region", "plateaus"], [0, "region", "break-even"]]
    assert all(row[:2] == [0, "region"] and row[2] not in ("", "table") for row in found)
    assert "gradient" in opened.run("getComputedStyle(document.querySelector('.scroll')).backgroundImage")
    assert opened.run("document.documentElement.scrollWidth") == 375
    told = opened.run("table(['a', 'b', 'c'], [['x', 'none'], ['x', '1', '2']], [1, 2]).innerHTML")
    assert '<td colspan="2">none</td>' in told
    opened.run("document.querySelector('.item').click()")
    assert opened.run("document.activeElement.id") == "chain"
    opened.until("Math.abs(document.getElementById('chain').getBoundingClientRect().top - 64) < 40")


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([3, 40_000_000], ["1", "10", "100", "1k", "10k", "100k", "1M", "10M"]),
        ([2e7, 2e8], ["10M", "20M", "50M", "100M", "200M"]),
        ([0, 16e6, 17e6, 31e6], ["16M", "18M", "20M", "25M", "30M"]),
        ([1.25e7, 1.85e7], ["14M", "16M", "18M"]),
    ],
)
def test_axes_have_three_round_numbers_at_least(opened: Browser, values: list[float], ticks: list[str]) -> None:
    told = opened.run(f"ticksOf({values}).ticktext")
    assert [name for name in told if name in ticks] == ticks
    assert len(opened.run("ticksOf([1.61e7, 1.79e7]).ticktext || []")) == 0, "plotly's own, where none is round"


def test_break_even_says_no_range_where_there_is_none(opened: Browser) -> None:
    row = {
        "run": "r",
        "split": "test",
        "accuracy": 0.5,
        "earlier": "a",
        "later": "b",
        "training": [1e12, 2e12],
        "query": [1, 2],
    }
    ends = [(None, None, None, True), (9e5, None, None, True), (0, 2e6, None, False), (0, 2e6, 3e6, False)]
    rows = [row | dict(zip(("low", "queries", "high", "never"), end, strict=True)) for end in ends]
    opened.run(f"$('break-even').replaceChildren(); showBreakEven({json.dumps(rows)})")
    told = opened.run("[...document.querySelectorAll('#break-even .answer')].map((e) => e.textContent)")
    never = "never: its queries are no cheaper"
    assert told == [never, f"{never} (900,000 – never)", "2.00e6 (0 – never)", "2.00e6 (0 – 3.00e6)"]


def test_a_phone_has_the_title_whole(opened: Browser) -> None:
    opened.size(375, 740, phone=True)
    assert opened.run("(() => { const e = document.querySelector('h1'); return e.scrollWidth <= e.clientWidth })()")
    assert "one, two" in opened.run("document.querySelector('h1').innerText")


def test_no_two_of_eighteen_strategies_have_one_sign(opened: Browser) -> None:
    assert opened.run("[SYMBOLS, SIGNS].map((all) => [all.length, new Set(all).size])") == [[18, 18]] * 2


def test_fingers_have_room(opened: Browser) -> None:
    opened.size(375, 740, phone=True)
    opened.call("Emulation.setTouchEmulationEnabled", enabled=True)
    opened.until("matchMedia('(pointer: coarse)').matches")
    opened.run("openChain()")
    small: Any = opened.run(
        "[...document.querySelectorAll('button, select, nav a, .chip, summary')].filter((e) => e.offsetParent)"
        ".filter((e) => Math.min(e.offsetHeight, e.offsetWidth) < 32).map((e) => e.outerHTML.slice(0, 80))"
    )
    opened.call("Emulation.setTouchEmulationEnabled", enabled=False)
    assert small == []
