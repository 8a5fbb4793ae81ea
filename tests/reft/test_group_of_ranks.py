"""How ranks meet."""

import json
from pathlib import Path

import pytest

from tests.devices import GPU
from tests.processes import run_processes


@pytest.mark.parametrize(("backend", "world"), [("gloo", 2), pytest.param("nccl", 1, marks=GPU)])
def test_ranks_that_meet_on_loopback_listen_there_alone(tmp_path: Path, backend: str, world: int) -> None:
    run_processes("tests.reft.group_process", world, [str(tmp_path), backend])
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(world)]
    assert [total for total, _ in found] == [world * (world + 1) / 2] * world
    listening = [address for _, addresses in found for address in addresses]
    assert listening, "at least the store"
    assert set(listening) == {"127.0.0.1"}
