"""The page in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("plotly", reason="the report draws with plotly")

from reft.plateau import LEAST_SPAN
from reft.report.page import build_page
from reft.report.read import read_log, read_run
from tests.report.browser import CHROMIUM, Browser
from tests.report.runs import write_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; on Debian: apt install chromium")
COUNT = "document.getElementById('count').textContent"
LISTED = "book.found.length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    browser.size(1280, 900)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    run = write_run(folder / "run<b>", steps=20, samples=10, hostile=True)
    file = folder / "report.html"
    file.write_text(build_page([read_run(run, run.name)])[0], encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    browser.complaints.clear()
    browser.fetched.clear()
    browser.open(page)
    yield browser
    assert browser.complaints == []
    assert [address for address in browser.fetched if not address.startswith(("file:", "data:", "blob:"))] == []


def choose(browser: Browser, name: str, value: str) -> None:
    """Put a value into a field, as somebody who types it."""
    field = f"document.getElementById('{name}')"
    browser.run(f"{field}.value = '{value}'; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))")


def test_charts_are_drawn(opened: Browser) -> None:
    opened.run("drawAll()")
    assert opened.run("document.querySelectorAll('.js-plotly-plot .main-svg').length") >= 2 * 6
    names = opened.run("[...document.querySelectorAll('#test-time .names button')].map((e) => e.dataset.name)")
    assert {"warmup: cut short", "step_000020: made to go on"} <= set(names)
    assert "plateau" in opened.run("document.querySelector('#test-time .plot').textContent")
    assert "break-even queries" in opened.run("document.getElementById('break-even').textContent")


def test_what_longer_reasoning_is_worth_is_shown(opened: Browser) -> None:
    opened.run("drawAll()")
    assert opened.run("document.getElementById('useful').hidden") is False
    assert opened.run("document.querySelectorAll('#useful-charts .js-plotly-plot').length") == 2
    ticks = opened.run("document.querySelector('#useful-use .plot').textContent")
    assert "no steps" in ticks
    assert "false value gone on from" in ticks
    side = opened.run("document.querySelector('#useful-use .plot').layout.yaxis")
    assert side["type"] == "category"
    assert opened.run("document.querySelector('#useful-use .plot').layout.xaxis.title.text") == "share"
    assert side["range"][0] > side["range"][1], "names of categories stand beside the chart, the first one on top"
    assert opened.run("document.querySelector('#useful-use .plot').data[0].error_x.array.length") == 3
    assert "step_000020 on warmup" in opened.run("document.getElementById('useful-tables').textContent")
    assert opened.run("document.getElementById('unstudied').textContent") == ""


def test_hostile_text_is_shown_and_not_run(opened: Browser) -> None:
    choose(opened, "words", "window.struck")
    opened.until(f"{LISTED} === 20")
    assert "onerror='window.struck=1'" in opened.run("document.querySelector('#chain pre.text').textContent")
    opened.press("n")
    assert opened.run("window.struck") is None
    assert opened.run("document.images.length") == 0
    assert opened.run("document.querySelector('.run h2').textContent") == "run<b>"


def test_a_script_that_gets_in_is_not_let_run(opened: Browser) -> None:
    opened.run("{const s = document.createElement('script'); s.textContent = 'window.struck = 1'; document.body.append(s)}")
    assert opened.run("window.struck") is None
    assert any("Content Security Policy" in text for text in opened.complaints)
    opened.complaints.clear()


def test_filters_keep_what_they_say(opened: Browser) -> None:
    total = opened.run("book.rows.length")
    assert total == 20 * 10 + 3 * 400
    assert opened.run(LISTED) == total
    shown = "book.found.map((place) => book.rows[place])"
    choose(opened, "step-least", "7")
    choose(opened, "step-most", "9")
    opened.until(f"{LISTED} === 30")
    assert opened.run(f"{shown}.every((row) => row[at.step] >= 7 && row[at.step] <= 9)")
    assert "30 of 1,400 chains" in opened.run(COUNT)
    opened.run("document.querySelector('[name=verdict][value=right]').click()")
    opened.until(f"{LISTED} < 30")
    kinds = set(opened.run(f"{shown}.map(verdictOf)"))
    assert kinds == {"wrong", "unparsed"}
    opened.run("document.querySelector('[name=verdict][value=unparsed]').click()")
    opened.until(f"new Set({shown}.map(verdictOf)).size === 1")
    opened.run("document.querySelector('button[type=reset]').click()")
    opened.until(f"{LISTED} === {total}")
    choose(opened, "tokens-least", "20")
    opened.until(f"{LISTED} < {total}")
    assert opened.run(LISTED) > 0
    assert opened.run(f"{shown}.every((row) => row[at.tokens] >= 20)")
    opened.run("document.querySelector('button[type=reset]').click()")
    opened.until(f"{LISTED} === {total}")
    choose(opened, "problem", "> 47 ?")
    opened.until(f"{LISTED} < {total}")
    assert opened.run(f"{shown}.every((row) => problemOf(row)[1].includes('> 47 ?'))")
    choose(opened, "problem", "no such problem")
    opened.until(f"{LISTED} === 0")
    assert "No chain" in opened.run("document.getElementById('chain').textContent")


def test_tokens_are_shaded_by_their_log_probs(opened: Browser) -> None:
    choose(opened, "step-least", "3")
    choose(opened, "step-most", "3")
    choose(opened, "words", "ok")
    opened.until(f"{LISTED} === 9")
    row = opened.run("book.rows[book.shown]")
    places = opened.run("at")
    tokens = opened.run(
        "[...document.querySelector('#chain pre.text').querySelectorAll('.token')].map((e) => [e.textContent, e.title])"
    )
    assert len(tokens) == len(row[places["logprobs"]])
    assert "".join(text for text, _ in tokens[:-1]) == row[places["chain"]]
    assert f"log-prob {row[places['logprobs']][2] / 100:.2f}".replace("-0.00", "0.00") in tokens[2][1].replace("-0.00", "0.00")
    opened.press("s")
    assert opened.run("document.querySelectorAll('#chain pre.text .token').length") == 0
    opened.press("s")


def test_one_problem_before_and_after(opened: Browser) -> None:
    choose(opened, "problem", "> 5000 ?")
    opened.until(f"{LISTED} === 6")  # greedy and sampled, of three evaluations
    text = opened.run("document.getElementById('chain').textContent")
    assert "The same problem, before and after: 6 chains" in text
    assert "before: step 0" in text
    assert "after: step 20" in text
    before = opened.run("book.shown")
    opened.press("p")
    assert opened.run("book.shown") != before


def test_keys_walk_through_the_list(opened: Browser) -> None:
    for key in "jjk":
        opened.press(key)
    assert opened.run("book.place") == 1
    assert opened.run("document.querySelector('[aria-selected=true]').id") == "item-1"
    opened.run("{for (let turn = 0; turn < 400; turn += 1) select(book.place + 1)}")
    assert opened.run("document.querySelector('[aria-selected=true]').id") == "item-401"
    opened.press("/")
    assert opened.run("document.activeElement.id") == "words"
    opened.press("j")
    assert opened.run("document.activeElement.value") == "j"
    opened.press("Escape")
    assert opened.run("document.activeElement.id") == "list"


def test_the_list_marks_what_is_shown(opened: Browser) -> None:
    choose(opened, "problem", "> 5000 ?")
    opened.until(f"{LISTED} === 6")
    marked = "[...document.querySelectorAll('#list [aria-selected=true]')].map((e) => book.found[Number(e.dataset.place)])"
    active = "document.getElementById('list').getAttribute('aria-activedescendant')"
    opened.press("p")
    shown = opened.run("book.shown")
    assert opened.run(marked) == [shown]
    assert opened.run(active) == f"item-{opened.run('book.place')}"
    opened.press("k")
    assert opened.run("book.found.indexOf(book.shown)") == opened.run(f"book.found.indexOf({shown})") - 1, (
        "k goes on from there"
    )
    choose(opened, "step-least", "20")
    opened.until(f"{LISTED} === 2")
    for _ in range(2):
        opened.press("p")
    assert opened.run("book.rows[book.shown][at.step]") < 20
    assert opened.run(marked) == [], "it is not among those that are listed"
    assert opened.run(active) is None
    opened.run("[...document.querySelectorAll('#chain .others button')].at(-1).click()")
    assert opened.run(marked) == [opened.run("book.shown")]


def test_where_nothing_is_left_no_chain_is_shown(opened: Browser) -> None:
    choose(opened, "problem", "no such problem")
    opened.until(f"{LISTED} === 0")
    for key in "npsjk":
        opened.press(key)
    assert opened.run("document.getElementById('chain').textContent") == "No chain is like this."
    assert opened.run("document.getElementById('list').getAttribute('aria-activedescendant')") is None
    opened.run("document.querySelector('button[type=reset]').click()")
    opened.until(f"{LISTED} > 0")
    if not opened.run("book.shading"):
        opened.press("s")
    assert opened.run("book.found[book.place] === book.shown")


def test_a_curve_without_a_plateau_says_what_that_may_mean(opened: Browser) -> None:
    assert LEAST_SPAN == 0.5
    told = opened.run("document.getElementById('plateaus').textContent")
    assert "none: still gains, turns, or is flat for less than half a doubling" in told


def test_it_fits_a_phone_and_the_dark(opened: Browser) -> None:
    opened.prefer("dark")
    opened.until("document.documentElement.dataset.theme === 'dark'")
    dark = opened.run("getComputedStyle(document.body).backgroundColor")
    opened.prefer("light")
    opened.until("document.documentElement.dataset.theme === 'light'")
    assert opened.run("getComputedStyle(document.body).backgroundColor") != dark
    opened.size(360, 740, phone=True)
    opened.run("drawAll()")
    assert opened.run("document.documentElement.scrollWidth") == 360
    opened.run("document.querySelector('.item').click()")
    assert opened.run("getComputedStyle(document.getElementById('list')).display") == "none"
    opened.press("Escape")
    assert opened.run("getComputedStyle(document.getElementById('list')).display") != "none"
    opened.size(1280, 900)


def test_answers_of_tables_are_seen_on_a_phone_and_on_paper(opened: Browser) -> None:
    opened.size(375, 740, phone=True)
    row = {"run": "r", "split": "test", "accuracy": 0.5, "earlier": "warmup", "later": "step_000020", "training": [1e12, 2e12],
           "query": [1e7, 2e7], "low": 9e5, "queries": None, "high": None, "never": True}  # fmt: skip
    opened.run(f"$('break-even').replaceChildren(); showBreakEven({json.dumps([row])})")
    answer = opened.run("document.querySelector('#break-even .answer').getBoundingClientRect().toJSON()")
    assert answer["right"] <= 375
    assert answer["height"] < 3 * 1.5 * 16, "not a word a line"
    gain = "document.querySelector('#useful-tables [aria-label^=Gains] tbody td:nth-child(4)')"
    assert opened.run(f"{gain}.getBoundingClientRect().left") < 375 - 60, "a gain is seen without its interval"
    cells = "[...document.querySelectorAll('#compute td.number, #useful td.number')]"
    assert opened.run(f"{cells}.every((e) => getComputedStyle(e).whiteSpace === 'nowrap')")
    assert opened.run("document.documentElement.scrollWidth") == 375
    opened.size(718, 1000)  # what A4 leaves, in pixels
    opened.call("Emulation.setEmulatedMedia", media="print")
    boxes = "[...document.querySelectorAll('#compute > div .scroll, #useful-tables .scroll')]"
    assert opened.run(f"{boxes}.length") > 3
    assert opened.run(f"{boxes}.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.ariaLabel)") == []
    opened.call("Emulation.setEmulatedMedia", media="")
    opened.size(1280, 900)


def test_it_prints(opened: Browser) -> None:
    assert opened.print().startswith(b"%PDF-")


def test_a_published_log_is_drawn_with_its_plateau(browser: Browser, shared: Path, tmp_path: Path) -> None:
    file = tmp_path / "o1.html"
    logs = [shared / "data" / "o1_scaling" / f"results_log_{name}.json" for name in ("just_ask_nicely", "majority_vote")]
    curves = [curve for log in logs for curve in read_log(log, 30)]
    file.write_text(build_page([], curves)[0], encoding="utf-8")
    browser.complaints.clear()
    browser.open(file)
    browser.run("drawAll()")
    assert browser.run("document.querySelector('#test-time .plot').data.at(-1).x.length") == 11
    told = browser.run("document.querySelector('#test-time .plot').textContent")
    assert all(words in told for words in ("plateau 0.688", "just ask nicely", "majority vote", "no gain"))
    assert browser.run("document.querySelector('#test-time .plot').layout.shapes.length") == 3
    assert "42,868" in browser.run("document.getElementById('plateaus').textContent")
    assert browser.run("document.getElementById('chains').hidden")
    assert browser.complaints == []
