"""A stall of the machine is counted wherever in a block it comes."""

import os
import time

import numpy as np
import pytest
from tests.engine.fake_driver import BLOCK, FakeDriver
from tests.local import RATE

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.loop import EngineLoop
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared


@pytest.mark.parametrize("stalled", range(6))
def test_a_stall_in_the_middle_of_a_block_is_counted(stalled: int) -> None:
    class Stalling(FakeDriver):
        def deliver(self, block: int, samples: np.ndarray) -> bool:
            if block == stalled:
                time.sleep(0.15)
            return super().deliver(block, samples)

    shared, bell = Shared.create(MappingShape(RATE, BLOCK, 2, 16)), os.eventfd(0, os.EFD_NONBLOCK)
    loop = EngineLoop(GraphPlayer(StreamSpec(RATE, BLOCK, 2)), Stalling(), shared, bell)  # type: ignore[arg-type]
    for _ in range(8):
        assert loop.run_block()
    assert shared.words[HeaderWord.STALLS] >= 1
    os.close(bell)
    os.close(shared.fd)
