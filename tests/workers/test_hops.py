"""Sound cut into hops and put together again: the same samples for any blocks, exactly as late as declared."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.waiting import until
from tests.workers.rig import PATIENCE, Rig, hops, pid, through, words
from tests.workers.steppers import spec

from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.workers import worker
from antiphon.kernel.workers.arena import WorkerWord
from antiphon.networks.rebuffer import Rebuffer, lead_for
from antiphon.testing import noise


class Line:
    """A worker that answers each hop with `-x`, as late as it may."""

    def __init__(self, hop: int, lead: int, channels: int = 2) -> None:
        self.posted: dict[int, np.ndarray] = {}
        self.loaded: list[int] = []
        self.hops = Rebuffer(hop, lead, channels, channels, self.post, self.load)

    def post(self, hop: int, sound: np.ndarray) -> None:
        assert hop not in self.posted
        self.posted[hop] = sound.copy()

    def load(self, hop: int, out: np.ndarray) -> None:
        self.loaded.append(hop)
        # nothing is asked for before it was posted
        np.negative(self.posted[hop], out=out) if hop >= self.hops.first else out.fill(0.0)

    def play(self, x: np.ndarray, sizes: list[int], start: int = 0) -> np.ndarray:
        y, at, turn = np.full_like(x, np.nan), 0, 0
        while at < x.shape[1]:
            size = min(sizes[turn % len(sizes)], x.shape[1] - at)
            io = IO((), (), {}, BlockTime(sample=start + at), size)
            self.hops.run(io, x[:, at : at + size], y[:, at : at + size])
            at, turn = at + size, turn + 1
        return y


@settings(max_examples=100)
@given(
    st.sampled_from([1, 7, 64, 480]),
    st.integers(0, 5),
    st.integers(0, 5000),
    st.lists(st.integers(1, 600), min_size=1, max_size=20),
)
def test_any_blocks_give_the_same_samples_as_late_as_declared(
    hop: int, lead: int, start: int, sizes: list[int]
) -> None:
    x = noise(6 * hop * (1 + lead) + 100, 2)
    line = Line(hop, lead)
    y = line.play(x, sizes, start)
    late = line.hops.latency
    assert late == hop * (1 + lead)
    # its hops lie on the clock, so that the first one began before there was sound
    np.testing.assert_array_equal(y[:, late:], -x[:, : x.shape[1] - late])
    assert not y[:, :late].any()
    first = start // hop
    assert list(line.posted) == list(range(first, (start + x.shape[1]) // hop))
    assert line.loaded == list(range(first - 1 - lead, first - 1 - lead + len(line.loaded)))


@settings(max_examples=100)
@given(st.integers(1, 2048), st.integers(1, 2048))
def test_an_answer_is_not_due_in_the_block_that_asks(hop: int, block: int) -> None:
    lead = lead_for(hop, block)
    assert lead >= 1
    assert (lead - 1) * hop < max(block, hop) <= lead * hop or lead == 1
    # the hop posted last in a block of any place is wanted in another block
    line, posted_in, loaded_in, turn = Line(hop, lead, 1), {}, {}, 0

    def noting(into: dict[int, int], do: Callable[[int, np.ndarray], None]) -> Callable[[int, np.ndarray], None]:
        def note(number: int, sound: np.ndarray) -> None:
            into[number] = turn
            do(number, sound)

        return note

    line.hops = Rebuffer(hop, lead, 1, 1, noting(posted_in, line.post), noting(loaded_in, line.load))
    x = np.zeros((1, block), np.float32)
    for _ in range(6 + 3 * hop // block):
        line.hops.run(IO((), (), {}, BlockTime(sample=turn * block), block), x, np.empty_like(x))
        turn += 1
    both = set(posted_in) & set(loaded_in)
    assert all(loaded_in[n] > posted_in[n] for n in both)


def test_a_source_is_asked_for_its_hops_too() -> None:
    line = Line(8, 0, 1)
    y = np.zeros((1, 20), np.float32)
    line.hops.run(IO((), (), {}, BlockTime(sample=40), 20), None, y)
    assert list(line.posted) == [5, 6]
    assert line.loaded == [4, 5, 6]
    assert (line.hops.number, line.hops.fill) == (7, 4)


def test_clear_is_silence_until_what_comes_has_been_answered() -> None:
    hop, lead = 10, 2
    line = Line(hop, lead, 1)
    ones = np.ones((1, 95), np.float32)
    assert line.play(ones, [95]).any()
    line.hops.clear()
    assert line.hops.first == 9
    y = line.play(ones, [7], 95)
    late = line.hops.latency
    assert not y[:, :late].any()
    np.testing.assert_array_equal(y[:, late:], -1.0)
    # of the hop that was being filled, what came before is forgotten
    assert not line.posted[9][:, :5].any()
    assert line.posted[9][:, 5:].all()


def test_streams_play_on_while_another_is_loaded(rig: Rig, tmp_path: Path) -> None:
    first, x = rig.open(spec("Slow")), hops(30)
    worker = pid(first)
    late = rig.pool.open(spec("Slow"), str(tmp_path / "late"))
    for n in range(3):
        np.testing.assert_array_equal(np.stack(through(rig, first, 10 * n, x[10 * n :][:10])), x[10 * n :][:10])
    assert not late.runs()
    (tmp_path / "late").touch()
    until(rig.pool.is_settled, PATIENCE, "the stream is loaded")
    np.testing.assert_array_equal(np.stack(through(rig, late, 0, x)), 2.0 * x)
    assert pid(late) == worker == pid(first)
    assert first.misses == late.misses == 0


def test_two_streams_are_loaded_one_after_the_other(rig: Rig, tmp_path: Path) -> None:
    rig.open(spec("Slow"))
    names = [str(tmp_path / name) for name in ("a", "b")]
    late = [rig.pool.open(spec("Slow"), name) for name in names]
    for name in reversed(names):
        Path(name).touch()
    until(rig.pool.is_settled, PATIENCE, "both are loaded")
    for stream in late:
        np.testing.assert_array_equal(np.stack(through(rig, stream, 0, hops(3))), 2.0 * hops(3))


def test_a_stream_that_is_closed_meanwhile_is_not_opened(rig: Rig, tmp_path: Path) -> None:
    first, x = rig.open(spec("Slow")), hops(4)
    gone = rig.pool.open(spec("Slow"), str(tmp_path / "late"))
    gone.close()
    other = rig.open(spec("Slow"))
    (tmp_path / "late").touch()
    for stream in (first, other):
        np.testing.assert_array_equal(np.stack(through(rig, stream, 0, x)), x)


def test_an_error_of_the_loading_ends_the_worker_as_one_of_open_does(rig: Rig, tmp_path: Path) -> None:
    first = rig.open(spec("Slow"))
    (tmp_path / "bad").touch()
    rig.pool.open(spec("Slow"), str(tmp_path / "bad"))
    until(lambda: words(first)[WorkerWord.RESTARTS] > 0, PATIENCE, "the worker has ended")
    assert "that file is bad" in first.entry.reason


def test_what_is_wanted_at_the_start_is_loaded_before_it_is_ready(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "early").touch()
    stream, x = rig.open(spec("Slow"), str(tmp_path / "early")), hops(4)
    np.testing.assert_array_equal(np.stack(through(rig, stream, 0, x)), x)


def test_what_the_worker_waited_for_a_processor_is_no_time_of_its_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which seven of nine milliseconds are those of other programs: the model is admitted by its two."""
    wall, waited = [0], [0]
    monkeypatch.setattr(worker.time, "perf_counter_ns", lambda: wall[0])
    monkeypatch.setattr(worker, "thread_clocks", lambda: (0, waited[0]))
    seen = np.zeros(1, np.int64)

    def step() -> None:
        wall[0] += 9_000_000
        waited[0] += 7_000_000

    assert set(worker.hop_times(step, seen)) == {2_000_000}
    assert seen == worker.MEASURED - 1
