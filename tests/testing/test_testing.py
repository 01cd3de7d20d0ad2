"""The public kit: laws that a wrong processor breaks, a server of one's own."""

import os

import numpy as np
import pytest
from tests.local import Count, Gain

from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.processor import Processor
from antiphon.testing import broken_law, check_laws, server, sine


class ByBlock(Processor):
    """Adds a little for each block, whatever its length."""

    def prepare(self, spec):
        self.n = 0

    def reset(self):
        self.n = 0

    def process(self, io):
        self.n += 1
        np.add(io.audio_in[0], self.n * 1e-3, out=io.audio_out[0])


class Forgetful(Count):
    """Counts on through a reset."""

    params = (Param("plus", "int", 0, low=0, high=8),)

    def reset(self):
        pass


@pytest.mark.parametrize(
    ("make", "law"), [(Gain, ""), (Count, ""), (ByBlock, "in other blocks"), (Forgetful, "after a reset")]
)
def test_broken_law_processor_names_the_law(make: type[Processor], law: str) -> None:
    assert broken_law(make) == law


def test_check_laws_wrong_processor_raises() -> None:
    with pytest.raises(AssertionError, match="it sounds otherwise in other blocks"):
        check_laws(ByBlock, sound=sine(440.0, 0.5, channels=2))


def test_server_context_has_its_own_home() -> None:
    before = os.environ["ANTIPHON_HOME"]
    with server("keys") as running:
        assert os.environ["ANTIPHON_HOME"] != before
        running.tempo = 133
        assert running.tempo == 133
    assert os.environ["ANTIPHON_HOME"] == before
