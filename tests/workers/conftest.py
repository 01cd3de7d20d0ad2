"""A rig with a real zygote, shared by the tests of a module, and one of its own where a test breaks it."""

from collections.abc import Iterator

import pytest
from tests.workers.rig import Rig


@pytest.fixture(scope="module")
def shared_rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    yield shared_rig
    shared_rig.clear()


@pytest.fixture(scope="module")
def shared_calm_rig() -> Iterator[Rig]:
    """One whose zygote lets a worker think for half a minute."""
    rig = Rig(hang=30_000_000_000)
    yield rig
    rig.close()


@pytest.fixture
def calm_rig(shared_calm_rig: Rig) -> Iterator[Rig]:
    yield shared_calm_rig
    shared_calm_rig.clear()


@pytest.fixture
def own_rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()
