"""Each fault in each phase of a whole run, by real signals to real processes: the run comes to its end, and its weights and
metrics are bit by bit those of a run without faults. A table at the end says what it cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_end_to_end import SMALL

pytestmark = pytest.mark.faults

CONFIG = SMALL.replace("save_every: 2", "save_every: 1").replace("epochs: 3", "epochs: 12")
SITE = Path(__file__).parent / "site"
PLACES = {
    "worker": {
        "sampling": ("rollout.engines.hf", "HFEngine.generate", 20),
        "scoring": ("rewards.scorer", "Scorer.score", 78),
        "publishing": ("rollout.worker", "Worker.load", 3),
        "evaluating": ("rollout.engines.hf", "HFEngine.generate", 1),
    },
    "learner": {
        "warm-up": ("reft.trainer", "Log.on_step_end", 12),
        "scoring": ("reft.learner.rank", "Rank.forward", 2),
        "update": ("reft.learner.rank", "Rank.step", 6),
        "publishing": ("reft.learner.rank", "Rank.weights", 3),
        "saving": ("reft.learner.rank", "Rank.save", 2),
    },
    "driver": {
        "warm-up": ("reft.run", "RunDirectory.log", 2),
        "sampling": ("reft.train", "draw", 3),
        "update": ("reft.learner.driver", "Learner.update", 3),
        "publishing": ("rollout.ray_pool", "RayPool.publish", 4),
        "saving": ("reft.files", "seal_folder", 4),
        "evaluating": ("reft.journal", "RunJournal.evaluate", 2),
    },
    # Those that wait meanwhile: the driver comes to the place, and has them befallen.
    "idle worker": {
        "warm-up": ("reft.run", "RunDirectory.log", 2),
        "update": ("reft.learner.driver", "Learner.update", 3),
        "saving": ("reft.files", "seal_folder", 4),
    },
    "idle learner": {
        "sampling": ("reft.train", "draw", 3),
        "evaluating": ("reft.journal", "RunJournal.evaluate", 2),
    },
}
"""For each process and phase, which call of what is where the fault comes. Phases before that have passed."""
FAULTS = {
    "worker": ("SIGKILL", "SIGSEGV", "SIGSTOP", "exit", "raise"),
    "learner": ("SIGKILL", "SIGSEGV", "SIGSTOP", "exit"),  # an error of its own ends the run, and says where it was raised
    "driver": ("SIGKILL", "SIGTERM"),
    "idle worker": ("SIGKILL", "SIGSTOP"),
    "idle learner": ("SIGKILL", "SIGSTOP"),
}
TITLES = {"idle worker": "ray::WorkerHost", "idle learner": "ray::_Member"}
"""What processes call themselves."""
CELLS = [
    *((who, phase, fault) for who, phases in PLACES.items() for phase in phases for fault in FAULTS[who]),
    ("worker", "sampling", "clock"),
    ("learner", "warm-up", "clock"),
    ("driver", "sampling", "clock"),
]
"""Process, phase, and what befalls it there; "clock" is one that is put back by a day."""
HEARTBEAT = 20.0
"""Seconds, for what has been stopped and does not answer."""


@dataclass(frozen=True)
class Outcome:
    """What a run left, and what its faults cost."""

    seconds: float
    commands: int
    restarts: float
    redone: float
    repeated: int
    recovery: float


def run(folder: Path, name: str, order: tuple[str, str, int, str] | None = None) -> Outcome:
    """Run to the end, by the same command again where the driver itself was lost."""
    (folder / "small.yaml").write_text(CONFIG)
    token = folder / f"{name}.token"
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = os.pathsep.join([str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])])
    if order is not None:
        token.touch()
        environment["REFT_FAULTS"] = json.dumps([[*order, str(token), name.startswith(("driver", "idle"))]])
    words = [sys.executable, "-m", "reft", "run", "small.yaml", f"run.dir={name}", f"ray.heartbeat={HEARTBEAT:g}"]
    if order is not None and name.startswith(("worker", "idle-worker")):
        words.append("rollout.workers=1")  # so that its successor is waited for, and how long that takes is seen
    begun, commands = time.monotonic(), 0
    while True:
        commands += 1
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False)
        with (folder / f"{name}.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode == 0 and (folder / name / "summary.json").exists():
            break
        assert order is not None, done.stderr[-3000:]
        expected = 0 if order[3] == "SIGTERM" else -9  # what a scheduler asks for is no failure
        assert done.returncode == expected, f"the run ended itself: {done.stderr[-3000:]}"
        assert commands < 3
    assert order is None or not token.exists(), "the fault never came"
    rows = steps(folder / name)
    state = json.loads((folder / name / "state.json").read_text())
    return Outcome(
        seconds=time.monotonic() - begun,
        commands=commands,
        restarts=state["worker_restarts"] + state["learner_restarts"] + commands - 1,
        redone=sum(row["faults/shards_redone"] for row in rows),
        repeated=state["steps_repeated"],
        recovery=max(row["faults/recovery_seconds"] for row in rows),
    )


def steps(path: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["phase"] == "reinforce"]


def lasting(path: Path, begins: str = "warmup") -> list[dict[str, float]]:
    """All metrics from a phase on, but times, and the count of faults itself."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    rows = rows[next(place for place, row in enumerate(rows) if row["phase"] == begins) :]
    return [
        {name: value for name, value in row.items() if not name.startswith(("time/", "faults/")) and "per_second" not in name}
        for row in rows
    ]


def drawn(path: Path) -> list[str]:
    return [file.read_text() for file in sorted((path / "samples").glob("*.jsonl"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def straight(folder: Path) -> tuple[Path, Outcome]:
    return folder / "straight", run(folder, "straight")


@pytest.fixture(scope="module")
def table(straight: tuple[Path, Outcome], request: pytest.FixtureRequest) -> Iterator[list[str]]:
    lines = [
        f"{'process':12} {'phase':11} {'fault':8} commands  restarts  samples lost  shards again  steps again  "
        "worker back (s)  whole run longer (s)"
    ]
    yield lines
    lines.append(f"{len(lines) - 1} of {len(CELLS)} faults were injected and survived")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n" + "\n".join(lines))


@pytest.mark.parametrize(("who", "phase", "fault"), CELLS, ids=["-".join(cell).replace(" ", "-") for cell in CELLS])
def test_a_run_outlives(
    folder: Path, straight: tuple[Path, Outcome], table: list[str], who: str, phase: str, fault: str
) -> None:
    module, name, call = PLACES[who][phase]
    label = f"{who}-{phase}-{fault}".replace(" ", "-")
    outcome = run(folder, label, (module, name, call, f"{fault} {TITLES[who]}" if who in TITLES else fault))
    path, without = straight
    # A warm-up that ends early on request logs its last mean there, and begins another behind it.
    begins = "warmup" if (phase, fault) != ("warm-up", "SIGTERM") else "reinforce"
    assert lasting(folder / label, begins) == lasting(path, begins), "metrics"
    lost = sum(one != other for one, other in zip(drawn(folder / label), drawn(path), strict=True))
    assert not lost, "no sample is lost, none is another"
    last = "checkpoints/step_000004/model.safetensors"
    assert (folder / label / last).read_bytes() == (path / last).read_bytes(), "weights"
    assert (outcome.restarts >= 1) == (fault != "clock")
    table.append(
        f"{who:12} {phase:11} {fault:8} {outcome.commands:8}  {outcome.restarts:8.0f}  {lost:12}  {outcome.redone:12.0f}  "
        f"{outcome.repeated:11}  {outcome.recovery or float('nan'):15.1f}  {outcome.seconds - without.seconds:20.1f}"
    )
