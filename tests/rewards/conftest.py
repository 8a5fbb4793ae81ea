"""What tests of the checker need."""

from collections.abc import Iterator

import pytest

from rewards.equal import Checker
from rewards.sandbox import Limits


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    made = Checker(limits=Limits(seconds=2.0))
    yield made
    made.close()
