"""What a plan is measured to cost, and what is said of it."""

import os
import select
import signal
import time
from collections.abc import Iterator

import pytest

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.engine.plans.admission import LoadEstimator, Share, decide, run_weigher, try_node
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.processes.child_process import leave, pair

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


class Seeded(Processor):
    """One is not like another."""

    params = (Param("seed", "int", 0, 0, 1000, restart=True),)

    def process(self, io):
        io.audio_out[0][:] = io.audio_in[0]


class Hangs(Processor):
    """Holds the write end of a pipe while it hangs."""

    held = -1

    def process(self, io):
        os.write(self.held, b"h")
        while True:
            pass


class Dies(Processor):
    def process(self, io):
        os.abort()


KINDS = {"busy": Busy, "fails": Fails, "seeded": Seeded, "hangs": Hangs, "dies": Dies}


def catalog() -> Catalog:
    kinds = KINDS
    return Catalog({name: inspect_processor(name, kind, name, "test", play=False) for name, kind in kinds.items()})


def make(name: str) -> Processor:
    return KINDS[name]()


def plugins() -> Loaded:
    return Loaded(catalog(), {"processors": {**KINDS}})


def shares(*shares_of: float) -> list[Share]:
    return [Share(f"n{i}", share * PERIOD, PERIOD) for i, share in enumerate(shares_of)]


@pytest.mark.parametrize("asked", [0.5, 3.0])
def test_a_node_is_measured_by_the_cpu_it_takes(asked: float) -> None:
    found = try_node(NodeSpec("b", "busy", {"ms": asked}), catalog(), make, SPEC)
    assert asked * 0.95 <= found <= asked * 1.5 + 0.3


def test_a_node_that_will_not_prepare_says_why() -> None:
    with pytest.raises(PluginError, match="would not prepare: ValueError: no"):
        try_node(NodeSpec("f", "fails"), catalog(), make, SPEC)


def test_more_than_a_block_is_refused_with_the_numbers() -> None:
    said = decide(shares(0.6, 0.7), [], 2).refused
    assert "130% of a block of 5.33 ms" in said
    assert "n1 3.73 ms, n0 3.20 ms" in said
    assert "--block" in said


def test_nearly_a_block_is_warned_about() -> None:
    verdict = decide(shares(0.8), [], 2)
    assert not verdict.refused
    assert "80% of a block" in verdict.warning


def test_a_model_slower_than_its_hop_is_refused() -> None:
    said = decide(shares(0.1), [Share("big", 14.0, 10.0)], 2).refused
    assert said == "the model big takes 14.0 ms for each 10.0 ms hop: it cannot keep up on this machine"
    assert "big takes 8.0 ms" in decide([], [Share("big", 8.0, 10.0)], 2).warning


def test_all_of_it_has_to_fit_the_cores() -> None:
    workers = [Share(f"m{i}", 6.0, 10.0) for i in range(4)]
    assert "2.4 of 2 cores" in decide([], workers, 2).refused
    assert decide([], workers, 8) == decide([], [], 8)


@pytest.fixture
def weigher() -> Iterator[tuple[LoadEstimator, int]]:
    """A loader's end, and the process at the other."""
    there, here = pair()
    pid = os.fork()
    if not pid:
        leave(lambda: run_weigher(there, plugins(), SPEC))
    yield LoadEstimator(SPEC, here), pid
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    there.close()
    here.close()


def test_as_many_nodes_as_a_patch_holds_are_weighed(weigher: tuple[LoadEstimator, int]) -> None:
    assert len(weigher[0].measure([NodeSpec(f"n{i}", "seeded", {"seed": i}) for i in range(256)])) == 256


def test_the_node_that_did_not_survive_its_trial_is_named(weigher: tuple[LoadEstimator, int]) -> None:
    nodes = [NodeSpec("fine", "busy", {"ms": 0.0}), NodeSpec("bad", "dies"), NodeSpec("after", "busy", {"ms": 0.1})]
    with pytest.raises(PluginError, match=r"^bad \(dies\) did not survive its trial: .* SIGABRT$"):
        weigher[0].measure(nodes)


def test_a_trial_ends_with_the_weigher() -> None:
    """A node that hangs would otherwise keep a core busy after the server has ended."""
    read, Hangs.held = os.pipe()
    there, here = pair()
    pid = os.fork()
    if not pid:
        os.close(read)
        leave(lambda: run_weigher(there, plugins(), SPEC))
    os.close(Hangs.held)
    here.send(b'{"number": 1, "nodes": [["h", "hangs", {}]]}')
    assert os.read(read, 1) == b"h"
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    poll = select.poll()  # select takes no descriptor above 1023
    poll.register(read, select.POLLIN)
    assert poll.poll(20_000), "the trial's process still holds the pipe"
    os.close(read)
    there.close()
    here.close()
