"""How ranks meet."""

import json
from pathlib import Path

from tests.processes import run_processes


def test_ranks_that_meet_on_loopback_listen_there_alone(tmp_path: Path) -> None:
    run_processes("tests.reft.group_process", 2, [str(tmp_path)])
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [total for total, _ in found] == [3.0, 3.0]
    listening = [address for _, addresses in found for address in addresses]
    assert listening, "at least the store"
    assert set(listening) == {"127.0.0.1"}
