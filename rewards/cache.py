"""What was found last, by text, in bounded memory."""

import sys
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")

ENTRY_BYTES = 400
"""What an entry takes besides its texts: the key's tuple, the value, its place in the table (measured with tracemalloc)."""


class Cache(Generic[V]):
    """The values that were used last. Safe to use from any thread.

    Args:
        most_bytes: memory that keys and values may take; beyond it, what was not used for longest goes.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._values: OrderedDict[tuple[str, ...], V] = OrderedDict()
        self._lock = Lock()

    def get(self, *key: str) -> V | None:
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, value: V, *key: str) -> None:
        with self._lock:
            if key not in self._values:
                self.bytes += _size(key)
            self._values[key] = value
            self._values.move_to_end(key)
            while self.bytes > self.most_bytes:
                last, _ = self._values.popitem(last=False)
                self.bytes -= _size(last)

    def __len__(self) -> int:
        return len(self._values)


def _size(key: tuple[str, ...]) -> int:
    return ENTRY_BYTES + sum(map(sys.getsizeof, key))
