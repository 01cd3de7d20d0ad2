"""What the tests of a real server share."""

from collections.abc import Iterator

import pytest
from tests.chromium import Chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """One browser for the tests of a module; each opens tabs of its own."""
    with Chromium() as browser:
        yield browser
