"""What was used last is kept, in the memory that is given."""

import sys
import threading

from rewards.cache import ENTRY_BYTES, Cache


def test_what_was_used_longest_ago_goes() -> None:
    cache: Cache[int] = Cache(3 * (ENTRY_BYTES + 60))
    for number, key in enumerate("abc"):
        cache.put(number, key)
    assert cache.get("a") == 0
    cache.put(3, "d")
    assert [cache.get(key) for key in "abcd"] == [0, None, 2, 3]
    cache.put(9, "a")
    assert (cache.get("a"), len(cache)) == (9, 3)


def test_long_texts_count_by_their_length() -> None:
    cache: Cache[int] = Cache(100_000)
    for number in range(50):
        cache.put(number, "gold", "é" * 10_000 + str(number))
        assert cache.bytes <= 100_000
    assert 4 <= len(cache) <= 10
    cache.put(1, "x" * 200_000)
    assert (len(cache), cache.bytes) == (0, 0), "too long to be kept at all"


def test_threads_may_share_it() -> None:
    cache: Cache[int] = Cache(50 * ENTRY_BYTES)

    def work(start: int) -> None:
        for number in range(start, start + 2_000):
            cache.put(number, str(number % 97))
            assert cache.get(str(number % 97)) is None or cache.bytes > 0

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while cache._values:
        key, _ = cache._values.popitem()
        cache.bytes -= ENTRY_BYTES + sum(map(sys.getsizeof, key))
    assert cache.bytes == 0, "what is counted is what is there"
