"""Processes of scripts for a file's tests, and a player for each of them."""

from collections.abc import Iterator

import pytest
from tests.performer.rig import PlayerRig

from antiphon.performer.branch import BranchProcesses


@pytest.fixture(scope="module")
def processes() -> Iterator[BranchProcesses]:
    shared = BranchProcesses()
    yield shared
    shared.close()


@pytest.fixture
def stage(processes: BranchProcesses) -> Iterator[PlayerRig]:
    made = PlayerRig(processes)
    yield made
    made.player.close()
