"""One rank of `test_group_of_ranks`: joins, adds up the ranks' numbers, writes the sum and where it listens."""

import json
import os
import sys
from pathlib import Path

import psutil
import torch

from reft.learner.group import join_group


def main() -> None:
    rank, backend = int(os.environ["RANK"]), sys.argv[2]
    join_group(backend)
    join_group(backend)  # again changes nothing
    total = torch.tensor([rank + 1.0], device="cpu" if backend == "gloo" else "cuda")
    torch.distributed.all_reduce(total)
    listening = [place.laddr.ip for place in psutil.Process().net_connections("tcp") if place.status == psutil.CONN_LISTEN]
    (Path(sys.argv[1]) / f"{rank}.json").write_text(json.dumps([total.item(), listening]))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
