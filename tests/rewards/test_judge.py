"""A judge over HTTP: what it is asked, what it is believed, and what happens when it is not there."""

import contextlib
import email.utils
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rewards.equal import Checker
from rewards.judge import LONGEST_PAUSE, judge, read_judgement, read_pause
from rewards.scorer import Scorer
from rewards.terms import RewardError, load_term


class Judge:
    """An endpoint that says yes where the response holds the known answer, slowly, after failing `failures` times."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.failures = 0
        self.status, self.headers = 503, {}
        """How it fails."""
        self.times: list[float] = []
        self.delay = 0.05
        self.drips = False
        self.says: str | None = ""
        """In place of a judgement."""
        self.most = self.now = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.asked.append({"path": handler.path, "key": handler.headers.get("Authorization"), **body})
            self.times.append(time.monotonic())
            fails = self.failures > 0
            self.failures -= fails
        time.sleep(self.delay)
        text = body["messages"][0]["content"]
        reply = self.says if self.says != "" else "Yes." if "is 4" in text.split("response:")[1] else "no"
        content = json.dumps({"choices": [{"message": {"content": reply}}]}).encode()
        with self.lock:
            self.now -= 1
        handler.send_response(self.status if fails else 200)
        for name, value in self.headers.items() if fails else ():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"{}" if fails else b"" if self.drips else content)
        with contextlib.suppress(OSError):  # who asked has gone
            while self.drips:
                handler.wfile.write(b" ")
                time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[Judge]:
    made = Judge()
    yield made
    made.server.shutdown()
    made.server.server_close()


COLUMNS = {"prompts": ["2+2?"] * 6, "answer": ["4"] * 6}
TEXTS = [f"it is {number}" for number in range(6)]


def judged_once(server: Judge, **settings: float) -> Callable[..., list[float | None]]:
    """A judge that has given a judgement, as at a run's start."""
    reward = judge(server.url, "wise", **settings)
    assert reward(completions=["it is 4"], prompts=["?"], answer=["4"]) == [1.0]
    return reward


def test_it_asks_side_by_side_and_remembers(server: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    reward = judge(server.url, "wise", concurrency=4)
    assert reward(completions=TEXTS, **COLUMNS) == [0, 0, 0, 0, 1, 0]
    assert {(row["path"], row["model"], row["key"]) for row in server.asked} == {
        ("/v1/chat/completions", "wise", "Bearer secret")
    }
    assert 2 <= server.most <= 4
    assert reward(completions=TEXTS, **COLUMNS) == [0, 0, 0, 0, 1, 0]
    assert len(server.asked) == 6


def test_failures_are_tried_again(server: Judge) -> None:
    server.failures = 2
    assert judge(server.url, "wise", concurrency=1)(completions=TEXTS[4:5], prompts=["?"], answer=["4"]) == [1.0]
    assert len(server.asked) == 3


def test_the_same_is_asked_once(server: Judge) -> None:
    reward = judge(server.url, "wise", concurrency=6)
    many = {"completions": ["it is 4"] * 6, **COLUMNS}
    assert reward(**many) == [1.0] * 6
    others = {**many, "completions": ["so it is 4"] * 6}
    reward = judge(server.url, "wise", concurrency=6, retries=0)
    assert reward(completions=TEXTS[:1], prompts=["?"], answer=["4"]) == [0.0]
    server.failures = 9
    assert reward(**others) == [None] * 6
    assert len(server.asked) == 3
    server.failures = 0
    assert reward(**others) == [1.0] * 6, "that there was none is not remembered"


@pytest.mark.parametrize("dated", [False, True])
def test_it_waits_as_long_as_it_is_asked_to(server: Judge, dated: bool) -> None:
    server.failures, server.status = 1, 429
    server.headers = {"Retry-After": email.utils.formatdate(time.time() + 3, usegmt=True) if dated else "2"}
    assert judge(server.url, "wise")(completions=TEXTS[4:5], prompts=["?"], answer=["4"]) == [1.0]
    assert server.times[1] - server.times[0] >= 1.5


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_refusal_is_final(server: Judge, status: int) -> None:
    reward = judged_once(server)
    server.failures, server.status = 9, status
    assert reward(completions=TEXTS[:1], prompts=["?"], answer=["4"]) == [None]
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [401, 503])
def test_one_that_never_answers_fails_at_the_first_call(server: Judge, status: int) -> None:
    server.failures, server.status = 9, status
    with pytest.raises(ConnectionError, match=f"given no judgement: .*{status}"):
        judge(server.url, "wise", retries=1)(completions=TEXTS[:2], prompts=["?"] * 2, answer=["4"] * 2)
    with pytest.raises(ConnectionError, match=r"given no judgement: it gave nothing in 1 tries: .*refused"):
        judge("http://127.0.0.1:1/v1", "wise", retries=0)(completions=["x"], prompts=["?"], answer=["4"])


@pytest.mark.parametrize("says", [None, "Perhaps.", "<think>Is there no way? Yes"])
def test_a_reply_that_judges_nothing_is_told(server: Judge, says: str | None, caplog: pytest.LogCaptureFixture) -> None:
    reward = judged_once(server)
    server.says = says
    for _ in range(3):
        assert reward(completions=TEXTS[:2], prompts=["?"] * 2, answer=["4"] * 2) == [None, None]
    assert len(caplog.records) == 1, "not for each sample"
    assert "its reply is neither yes nor no" in caplog.text
    with pytest.raises(ConnectionError, match="neither yes nor no"):
        judge(server.url, "wise")(completions=TEXTS[:1], prompts=["?"], answer=["4"])


def test_what_a_request_holds(server: Judge) -> None:
    one = {"completions": ["it is 4"], "prompts": ["?"], "answer": ["4"]}
    judge(server.url, "wise")(**one)
    judge(server.url, "wise", parameters={"max_completion_tokens": 9})(**one)
    assert {"temperature": 0, "max_tokens": 512}.items() <= server.asked[0].items()
    assert server.asked[1].keys() == {"path", "key", "model", "messages", "max_completion_tokens"}


@pytest.mark.parametrize("drips", [False, True])
def test_what_comes_too_late_is_tried_again(server: Judge, drips: bool) -> None:
    reward = judged_once(server, retries=1, timeout=0.3)
    server.drips, server.delay = drips, 0.05 if drips else 0.6
    assert reward(completions=TEXTS[:1], prompts=["?"], answer=["4"]) == [None]
    server.drips = False
    assert len(server.asked) == 3


@pytest.mark.parametrize(("wish", "pause"), [(None, 0), ("3", 3), ("86400", LONGEST_PAUSE), ("soon", 0), ("-1", 0)])
def test_pauses(wish: str | None, pause: float) -> None:
    assert read_pause(wish) == pause


def test_no_judge_is_no_reward(server: Judge) -> None:
    reward = judged_once(server, retries=1)
    server.failures = 10
    assert reward(completions=TEXTS[:1], prompts=["?"], answer=["4"]) == [None]


def test_it_is_named_in_the_config(server: Judge) -> None:
    term = load_term("wise", "rewards.judge:judge", 0.5, {"url": server.url, "model": "wise"})
    (score,) = Scorer([term], Checker()).score(["2+2?"], ["it is 4"], [[1]], ["4"], ["4"], [{}])
    assert (score.reward, score.parts) == (0.5, {"wise": 1.0})


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"concurrency": 0}, "concurrency=0 is out of range"),
        ({"concurrency": "4"}, "concurrency='4' is out of range; choose a whole number, 1 or more"),
        ({"concurrency": 1.5}, "concurrency=1.5 is out of range"),
        ({"retries": -1}, "retries=-1 is out of range"),
        ({"timeout": 0}, "timeout=0 is out of range"),
        ({"timeout": "60"}, "timeout='60' is out of range"),
        ({"timeout": float("nan")}, "timeout=nan is out of range"),
        ({"url": "localhost:8000/v1"}, "url='localhost:8000/v1' is no http address"),
        ({"url": "file:///etc/passwd"}, "url='file:///etc/passwd' is no http address"),
        ({"model": ""}, "model='' names none"),
        ({"prompt": "{answer}?"}, "prompt has no {completion}"),
    ],
)
def test_a_wrong_setting_is_told_at_the_start(setting: dict[str, object], told: str) -> None:
    with pytest.raises(RewardError, match=re.escape(told)):
        load_term("wise", "rewards.judge:judge", 0.5, {"url": "http://127.0.0.1:1/v1", "model": "wise", **setting})


def test_a_judge_without_a_model_is_told_at_the_start() -> None:
    with pytest.raises(RewardError, match="missing a required argument: 'model'"):
        load_term("wise", "rewards.judge:judge", 0.5, {"url": "http://127.0.0.1:1/v1"})


@pytest.mark.parametrize(
    ("reply", "value"), [("yes", 1.0), ("No.", 0.0), ("**Yes**", 1.0), ("Yes, but no", None), ("", None), ("nothing", None)]
)
def test_replies(reply: str, value: float | None) -> None:
    assert read_judgement(reply) == value
