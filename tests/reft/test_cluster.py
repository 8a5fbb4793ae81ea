"""A real Ray cluster of this machine, and gangs of processes on it."""

import asyncio
import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
import ray

from reft.cluster import _check_size, _shut_down, cluster
from reft.config import RayConfig
from reft.errors import LostProcessError, RankError, RunError
from reft.gang import RayGang
from rewards.equal import Checker
from rollout.actors import WATCH
from rollout.engines.scripted import ScriptedEngine
from rollout.host import WorkerHost
from rollout.usage import Usage

ANSWERS = (
    "6.0",
    r"\sum_{k=1}^3 k",
    r"\prod_{n=1}^{9999}(1+\frac{6}{n^n})",
    r"\sum_{k=1}^4 k",
    "(x",
    r"\sqrt{30}+\sqrt{6}",
    "2+4",
)


def judge(checker: Checker) -> list[tuple[str, str]]:
    """Outcome and stage of answers to 6, one of which sympy would take minutes for."""
    return [(verdict.outcome, verdict.stage) for verdict in (checker.check(answer, "6") for answer in ANSWERS)]


class Counter:
    """What a gang may hold."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world, self.count = rank, world, 0

    def where(self) -> tuple[int, int, str, int]:
        return self.rank, self.world, os.environ["RANK"], os.getpid()

    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    def double(self, value: list[int]) -> list[int]:
        return [2 * self.rank, *value]

    def work(self) -> str:
        for self.count in range(1, 6):
            time.sleep(0.1)
        return "done"

    def look(self) -> int:
        return self.count

    def fail(self) -> None:
        raise RunError("no such luck")

    def grade(self) -> list[tuple[str, str]]:
        checker = Checker()
        try:
            return judge(checker)
        finally:
            checker.close()

    def slip(self) -> None:
        raise ZeroDivisionError("a slip")

    def lose_the_device(self) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def miss_a_file(self) -> None:
        open("no-such-file")  # noqa: SIM115

    def miss_one_that_dies(self) -> None:
        """As a rank does whose connection to another breaks: the news of that may come later."""
        if self.rank == 0:
            raise ConnectionResetError("by peer")
        time.sleep(0.5)
        os._exit(3)

    def die(self) -> None:
        os._exit(3)

    def wait_for_one_that_dies(self) -> None:
        if self.rank == 1:
            os._exit(3)
        time.sleep(60)

    def freeze(self) -> None:
        if self.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)

    def hang(self) -> None:
        time.sleep(60)


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    address = os.environ.pop("RAY_ADDRESS", None)
    with cluster(RayConfig(), cpus=2, gpus=0):
        yield
    if address is not None:
        os.environ["RAY_ADDRESS"] = address


@pytest.fixture
def gang(ray_cluster: None) -> Iterator[RayGang]:
    gang = RayGang(2, cpus=0.5, gpus=0, deadline=60, heartbeat=6, name="counter")
    gang.build(Counter)
    yield gang
    gang.close()


def test_all_are_called_and_answer_in_order(gang: RayGang) -> None:
    places = gang.call("where")
    assert [place[:3] for place in places] == [(0, 2, "0"), (1, 2, "1")]
    assert len({place[3] for place in places} | {os.getpid()}) == 3, "each is a process of its own"
    assert gang.call("double", [7]) == [[0, 7], [2, 7]]


def test_threads_that_wait_leave_the_core_to_others(gang: RayGang) -> None:
    policy = os.environ.get("OMP_WAIT_POLICY")
    assert gang.call("variable", "OMP_WAIT_POLICY") == [policy] * 2, "one's own setting holds"
    assert gang.call("variable", "GOMP_SPINCOUNT") == [os.environ.get("GOMP_SPINCOUNT") if policy else "5000"] * 2


def test_those_that_have_reserved_no_gpu_see_none(gang: RayGang) -> None:
    """DeepSpeed takes one where it sees one, whatever the ranks' own tensors are on."""
    assert gang.call("variable", "CUDA_VISIBLE_DEVICES") == ["", ""]


def test_progress_can_be_watched(gang: RayGang) -> None:
    seen: list[int] = []
    assert gang.watch("work", "look", 0.1, seen.append) == ["done", "done"]
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert seen[-1] == 5


def test_errors_arrive_as_they_were_raised(gang: RayGang) -> None:
    with pytest.raises(RunError, match="no such luck"):
        gang.call("fail")
    with pytest.raises(RunError, match="no such luck"):
        gang.watch("fail", "look", 0.1, lambda _: None)


def test_errors_that_no_user_can_mend_say_where_they_were_raised(gang: RayGang) -> None:
    with pytest.raises(RankError, match=r"rank 0 of the counter raised ZeroDivisionError\('a slip'\) during 'slip'") as caught:
        gang.call("slip")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(RankError, match=r"rank 0 of the counter raised OSError\(5, .*\) during 'lose_the_device'"):
        gang.call("lose_the_device")
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        gang.call("miss_a_file")


@pytest.mark.parametrize("ask", ["call", "watch"])
def test_a_death_counts_before_the_error_that_it_causes(gang: RayGang, ask: str) -> None:
    call = gang.call if ask == "call" else partial(gang.watch, poll="look", seconds=0.2, report=lambda _: None)
    with pytest.raises(LostProcessError, match=r"the counter lost rank 1 during 'miss_one_that_dies': process \d+ "):
        call("miss_one_that_dies")


def test_answers_are_checked_alike_from_actors_threads_and_a_loop_at_once(gang: RayGang) -> None:
    checker = Checker(processes=2)
    wanted = judge(checker)
    assert [outcome for outcome, _ in wanted] == [
        "equal", "equal", "undecided", "different", "different", "different", "equal",
    ]  # fmt: skip

    async def side_by_side() -> list[list[tuple[str, str]]]:
        return await asyncio.gather(*(asyncio.to_thread(judge, checker) for _ in range(2)))

    with ThreadPoolExecutor(9) as pool:
        actors = pool.submit(gang.call, "grade")
        threads = [pool.submit(judge, checker) for _ in range(8)]
        looped = asyncio.run(side_by_side())
        assert actors.result() == [wanted] * 2
        assert [thread.result() for thread in threads] == [wanted] * 8
    assert looped == [wanted] * 2
    checker.close()


def test_a_death_is_named(gang: RayGang) -> None:
    with pytest.raises(LostProcessError, match=r"the counter lost rank \d during 'die': process \d+ was killed or crashed"):
        gang.call("die")


def test_one_that_dies_is_told_though_its_peer_waits_for_it(gang: RayGang) -> None:
    """As a rank does in a collective, which would wait for half an hour."""
    begun = time.monotonic()
    with pytest.raises(LostProcessError, match=r"lost rank 1 during 'wait_for_one_that_dies'"):
        gang.call("wait_for_one_that_dies")
    assert time.monotonic() - begun < 25


@pytest.mark.parametrize("ask", [pytest.param("call", marks=pytest.mark.slow), "watch"])
def test_one_that_is_frozen_is_told_long_before_the_deadline(gang: RayGang, ask: str) -> None:
    gang.deadline = 600.0
    call = gang.call if ask == "call" else partial(gang.watch, poll="look", seconds=0.2, report=lambda _: None)
    with pytest.raises(
        LostProcessError,
        match=r"counter's rank 1 has been silent for 6 s \(ray.heartbeat\) during 'freeze'(?s:.*)rank 1: does not say",
    ):
        call("freeze")


def test_one_that_makes_no_progress_is_lost(gang: RayGang) -> None:
    gang.deadline = 2.0
    with pytest.raises(
        LostProcessError, match=r"no progress in 'hang' for 2 s\nrank 0: thread (?s:.*)time.sleep\(60\)\nrank 1: (?s:.*)in hang"
    ):
        gang.watch("hang", "look", 0.2, lambda _: None)


def test_a_hang_ends_at_the_deadline(ray_cluster: None) -> None:
    gang = RayGang(1, cpus=0.5, gpus=0, deadline=20, heartbeat=60, name="counter")
    gang.build(Counter)
    gang.deadline = 0.5
    try:
        with pytest.raises(RunError, match=r"did not finish 'hang' on 1 ranks within 0.5 s\nrank 0: (?s:.*)time.sleep\(60\)"):
            gang.call("hang")
    finally:
        gang.close()


def test_a_gang_without_a_place_is_told_so(ray_cluster: None) -> None:
    gang = RayGang(1, cpus=1000, gpus=0, deadline=2, heartbeat=4, name="counter")
    with pytest.raises(
        RunError, match=r"no room for the counter within 2 s \(ray.deadline\): it needs {'CPU': 1000.0, 'GPU': 0.0}, each on"
    ):
        gang.build(Counter)
    gang.close()


class Starter:
    """An engine's place: what a reward function may do to processes of its own."""

    version = 0
    engine = ScriptedEngine(lambda prompt, sample: "")

    def work(self, shard: str) -> list[object]:
        if shard == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
            return ["lives"]
        child = subprocess.Popen(["sleep", "600"])
        child.terminate()
        try:
            return [child.wait(20)]
        finally:
            child.kill()


def test_what_a_worker_starts_can_be_terminated_and_it_cannot(ray_cluster: None) -> None:
    """A scheduler's signal may come to all processes; without its workers the run could not end in time."""
    host = ray.remote(concurrency_groups=WATCH)(WorkerHost).options(num_cpus=0).remote(Starter)
    for shard, result in (("start", -signal.SIGTERM), ("signal", "lives"), ("start", -signal.SIGTERM)):
        assert ray.get(host.work.remote(shard, 0), timeout=60) == ([result], Usage())
    ray.kill(host)


STARTING = """
import sys
sys.path.insert(0, ".")
from reft.cluster import cluster
from reft.config import RayConfig
from reft.interrupt import Terminated, termination_named
try:
    with termination_named(), cluster(RayConfig(), cpus=1, gpus=0):
        print("started", flush=True)
        import time
        time.sleep(60)
except Terminated:
    print("tidy", flush=True)
"""


def words_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return ""


@pytest.mark.parametrize("seconds", [pytest.param(0.2, marks=pytest.mark.slow), 1.5])
def test_sigterm_while_ray_starts_is_the_programs(seconds: float) -> None:
    """Not Ray's, which would end it there and then."""
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen([sys.executable, "-c", STARTING], cwd=root, env=environment, stdout=subprocess.PIPE, text=True)
    ends = time.monotonic() + 120
    while not any("gcs_server" in words_of(child) for child in psutil.Process(process.pid).children(recursive=True)):
        assert time.monotonic() < ends
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=120)
    assert told.splitlines()[-1] == "tidy"
    assert process.returncode == 0


def test_ray_is_ended_by_force_where_it_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sleep", "600"])
    before = signal.getsignal(signal.SIGTERM)

    def shutdown() -> None:
        library = ctypes.CDLL(None)
        library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        library.signal(signal.SIGTERM, int(signal.SIG_DFL))  # as Ray does
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)
        child.wait(timeout=60)

    monkeypatch.setattr("reft.cluster.SHUTDOWN_SECONDS", 0.2)
    monkeypatch.setattr("reft.cluster.ray.shutdown", shutdown)
    monkeypatch.setattr("reft.cluster._children", lambda: [psutil.Process(child.pid)])  # not those of other tests
    _shut_down(before, started=True)
    assert child.returncode == -signal.SIGKILL
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_cluster_too_small_is_told_at_once(ray_cluster: None) -> None:
    with pytest.raises(RunError, match=r"reserves 1000 CPUs and the Ray cluster has"):
        _check_size(1000, 0)
