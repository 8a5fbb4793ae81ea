"""Faults on order, for tests: Python imports this at the start of every process that has its folder in PYTHONPATH.

REFT_FAULTS is JSON, a list of [module, name, call, fault, token, driver]: when `module.name` is called for the `call`-th time
in a process, the fault befalls that process, if it is the one that can take the file `token` away: once in all. `driver` says
whether that is the run's own process, or one that Ray has started for it. A signal with a title behind it, as "SIGKILL
ray::WorkerHost", goes to a process of that title that the run has started.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


def fail(fault: str) -> None:
    fault, _, title = fault.partition(" ")
    if title:
        befall(title, getattr(signal, fault))
        return
    if fault == "raise":
        raise ZeroDivisionError("a fault on order")
    if fault == "clock":
        now, time.time = time.time, lambda: now() - 86_400.0
        return
    if fault == "exit":
        os._exit(7)
    os.kill(os.getpid(), getattr(signal, fault))
    if fault == "SIGTERM":
        return  # which is a request
    time.sleep(60)  # a signal that ends the process does not come back; one that stops it does when it is continued


def befall(title: str, number: int) -> None:
    """Send a signal to one of the processes that this one has started, by what it calls itself."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        try:
            if " ".join(child.cmdline()).startswith(title):
                child.send_signal(number)
                return
        except psutil.NoSuchProcess:
            continue  # it has just ended
    raise LookupError(f"the run has started no process that calls itself {title!r}")


def wrapped(function: Callable[..., Any], call: int, fault: str, token: str) -> Callable[..., Any]:
    calls = 0

    def counting(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            try:
                os.rename(token, f"{token}.{os.getpid()}.{time.time()}")
            except FileNotFoundError:
                pass  # another process was first
            else:
                fail(fault)
        return function(*arguments, **named)

    return counting


class Finder(importlib.abc.MetaPathFinder):
    """Finds as all others do, and wraps functions of modules when they have been loaded."""

    def __init__(self, orders: Sequence[tuple[str, str, int, str, str, bool]]) -> None:
        of_ray = any(word.endswith("default_worker.py") for word in sys.orig_argv)
        self.orders = [order for order in orders if order[5] != of_ray]

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        orders = [order for order in self.orders if order[0] == name]
        if not orders:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for _, attribute, call, fault, token, _ in orders:
                holder: Any = module
                *holders, last = attribute.split(".")
                for part in holders:
                    holder = getattr(holder, part)
                setattr(holder, last, wrapped(getattr(holder, last), call, fault, token))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "REFT_FAULTS" in os.environ:
    sys.meta_path.insert(0, Finder(json.loads(os.environ["REFT_FAULTS"])))
