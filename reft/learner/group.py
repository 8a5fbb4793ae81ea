"""The process group of ranks, by which they talk to each other."""

import ipaddress
import os
import socket
from datetime import timedelta

import torch

STORE_SECONDS = 1800.0
"""For all ranks to come, and for what one asks the store; torch's default for a group."""


def join_group(backend: str) -> None:
    """Join the process group that the environment (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) describes, unless this process
    is in one.

    Where ranks meet at a loopback address, they listen there alone: so does the store by which they meet, while torch's own
    listens on all interfaces and takes values from whoever comes; so do Gloo, which else goes by the host's name, and NCCL,
    which else takes an interface that others reach.
    """
    if torch.distributed.is_initialized():
        return
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if not _is_loopback(host):
        torch.distributed.init_process_group(backend)
        return
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, loopback)
    listener = socket.create_server((host, port), backlog=world) if rank == 0 else None
    store = torch.distributed.TCPStore(  # type: ignore[attr-defined]  # documented, but of a module of C
        host,
        port,
        world,
        is_master=rank == 0,
        timeout=timedelta(seconds=STORE_SECONDS),
        master_listen_fd=listener.detach() if listener else None,
    )
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=world)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may stand for anything
