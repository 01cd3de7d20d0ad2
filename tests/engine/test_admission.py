"""What a plan is measured to cost, and what is said of it."""

from __future__ import annotations

import time

import pytest

from antiphon.block import StreamSpec
from antiphon.catalog import Catalog
from antiphon.engine.admission import Share, judge, try_node
from antiphon.errors import PluginError
from antiphon.graph import NodeSpec
from antiphon.params import Param
from antiphon.plugincheck import inspect_processor
from antiphon.processor import Processor

SPEC = StreamSpec(48000, 256, 2)
PERIOD = 256 / 48.0


class Busy(Processor):
    """Burns so many ms of CPU a block."""

    params = (Param("ms", default=1.0, low=0.0, high=50.0, restart=True),)

    def process(self, io):
        until = time.thread_time_ns() + int(self.settings["ms"] * 1e6)
        while time.thread_time_ns() < until:
            pass
        io.audio_out[0][:] = io.audio_in[0]


class Fails(Processor):
    def prepare(self, spec):
        raise ValueError("no")

    def process(self, io):
        pass


def catalog() -> Catalog:
    kinds = {"busy": Busy, "fails": Fails}
    return Catalog({name: inspect_processor(name, kind, name, "test", play=False) for name, kind in kinds.items()})


def make(name: str) -> Processor:
    return {"busy": Busy, "fails": Fails}[name]()


def shares(*shares_of: float) -> list[Share]:
    return [Share(f"n{i}", share * PERIOD, PERIOD) for i, share in enumerate(shares_of)]


@pytest.mark.parametrize("asked", [0.5, 3.0])
def test_a_node_is_measured_by_the_cpu_it_takes(asked: float) -> None:
    found = try_node(NodeSpec("b", "busy", {"ms": asked}), catalog(), make, SPEC)
    assert asked * 0.95 <= found <= asked * 1.5 + 0.3


def test_a_node_that_will_not_prepare_says_why() -> None:
    with pytest.raises(PluginError, match="would not prepare: ValueError: no"):
        try_node(NodeSpec("f", "fails"), catalog(), make, SPEC)


def test_what_fits_is_let_in_without_a_word() -> None:
    verdict = judge(shares(0.2, 0.3), shares(0.1), 2)
    assert (verdict.refused, verdict.warning) == ("", "")
    assert verdict.load == pytest.approx(0.5)


def test_more_than_a_block_is_refused_with_the_numbers() -> None:
    said = judge(shares(0.6, 0.7), [], 2).refused
    assert "130% of a block of 5.33 ms" in said
    assert "n1 3.73 ms, n0 3.20 ms" in said
    assert "--block" in said


def test_nearly_a_block_is_warned_about() -> None:
    verdict = judge(shares(0.8), [], 2)
    assert not verdict.refused
    assert "80% of a block" in verdict.warning


def test_a_model_slower_than_its_hop_is_refused() -> None:
    said = judge(shares(0.1), [Share("big", 14.0, 10.0)], 2).refused
    assert said == "the model big takes 14.0 ms for each 10.0 ms hop: it cannot keep up on this machine"
    assert "big takes 8.0 ms" in judge([], [Share("big", 8.0, 10.0)], 2).warning


def test_all_of_it_has_to_fit_the_cores() -> None:
    workers = [Share(f"m{i}", 6.0, 10.0) for i in range(4)]
    assert "2.4 of 2 cores" in judge([], workers, 2).refused
    assert judge([], workers, 8) == judge([], [], 8)
