"""A node's sound through a worker, in lockstep as files play it: exact for any blocks, dry when the log says so."""

import json
import re
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.waiting import until
from tests.workers.rig import pid
from tests.workers.steppers import Model, Poison, pole

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.harness import render
from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.contract.runner import ProcessorRunner
from antiphon.kernel.errors import WorkerError, WorkerLost
from antiphon.kernel.graph.rate_adapter import adapt
from antiphon.kernel.workers import devices
from antiphon.kernel.workers.arena import MAX_WORKERS, State, WorkerWord
from antiphon.kernel.workers.pool import use as use_pool
from antiphon.networks import lockstep as pools
from antiphon.networks.model_client import ModelProcessor
from antiphon.testing import noise

RATE = 48000


def node(**given) -> ModelProcessor:
    class Node(ModelProcessor):
        model = Model(**given)
        rate = given.get("rate", RATE)

    return Node()


@pytest.fixture(scope="module", autouse=True)
def lockstep() -> Iterator[pools.Lockstep]:
    pool = pools.Lockstep()
    use_pool(pool)
    yield pool
    use_pool(None)
    pool.shut()


@pytest.fixture(autouse=True)
def _nothing_left_open(lockstep: pools.Lockstep) -> Iterator[None]:
    yield
    lockstep_clear(lockstep)


def lockstep_clear(pool: pools.Lockstep) -> None:
    """Workers that nobody wants any more end as if they had been idle for a minute."""
    for stream in list(pool.streams):
        stream.close()
    for entry in pool.arena.entries:
        entry.words[WorkerWord.LEFT_NS] -= 60_000_000_000
    pool.call_zygote(pool.arena.entries[0])
    until(lambda: not any(e.words[WorkerWord.STATE] for e in pool.arena.entries), 10.0, "idle workers end")


def poles(x: np.ndarray, hop: int = 32) -> np.ndarray:
    """What `Pole` makes of whole hops."""
    said, last = [], np.zeros(len(x))
    for at in range(0, x.shape[1] - hop + 1, hop):
        y = [pole(row[None, at : at + hop], last[n]) for n, row in enumerate(x)]
        last = [memory for _, memory in y]
        said.append(np.concatenate([sound for sound, _ in y]))
    return np.concatenate(said, axis=1)


@settings(max_examples=30)
@given(
    st.sampled_from([32, 64, 100, 256, 441, 1024, 2048]),
    st.lists(st.integers(1, 2048), min_size=1, max_size=12),
    st.sampled_from([48, 64, 480]),
)
def test_any_blocks_give_the_same_samples(block: int, sizes: list[int], hop: int) -> None:
    frames = 4 * hop + 5000
    x = noise(frames, 2)
    made = node(hop=hop)
    y = render(made, StreamSpec(RATE, block, 2), x, blocks=[min(size, block) for size in sizes]).audio[0]
    made.close()
    assert made.latency == hop * (1 + max(1, -(-block // hop)))
    assert not y[:, : made.latency].any()
    wanted = poles(x, hop)[:, : frames - made.latency]
    assert y[:, made.latency :][:, : wanted.shape[1]].tobytes() == wanted.tobytes()


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 96000])
def test_a_stream_of_another_rate_finds_room_for_its_hops(rate: int) -> None:
    """The inner block is longer than the stream's, and so are the hops under way."""
    sounds = []
    for block in (64, 1024, 2048):
        made = adapt(node(hop=480), StreamSpec(rate, block, 1))
        x = noise(rate, 1, seed=4)
        y = render(made, StreamSpec(rate, block, 1), x).audio[0][:, made.latency :]
        made.close()
        sounds.append(y[:, : rate // 2])
    assert np.abs(sounds[0]).max() > 0.1
    assert [s.tobytes() for s in sounds[1:]] == [sounds[0].tobytes()] * 2


def test_one_that_finds_too_few_workers_gives_back_those_it_had(lockstep: pools.Lockstep) -> None:
    made = node(kind="Echo", inputs=1, slots=1)
    with pytest.raises(WorkerError, match=f"{MAX_WORKERS} workers already"):
        made.prepare(StreamSpec(RATE, 256, MAX_WORKERS + 1))
    assert not lockstep.streams


def test_a_worker_that_ends_while_room_is_sought_leaves_its_place(
    lockstep: pools.Lockstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place becomes free after the search for one and before the pool decides whether to wait."""
    node(kind="Echo", inputs=1, slots=1).prepare(StreamSpec(RATE, 256, 12))
    for stream in list(lockstep.streams):
        stream.close()
    make_room = lockstep._make_room

    def until_one_has_ended() -> None:
        make_room()
        until(lambda: not all(e.words[WorkerWord.STATE] for e in lockstep.arena.entries), 10.0, "one has ended")

    monkeypatch.setattr(lockstep, "_make_room", until_one_has_ended)
    made = node(kind="Echo", inputs=1, slots=1, name="another")
    made.prepare(StreamSpec(RATE, 256, 1))
    assert [stream.spec.name for stream in lockstep.streams] == ["another"]
    made.close()


@pytest.mark.parametrize(("channels", "inputs", "slots"), [(1, 1, 1), (3, 1, 2), (5, 2, 2), (2, 2, 1)])
def test_many_channels_are_shared_out_over_slots_and_processes(
    lockstep: pools.Lockstep, channels: int, inputs: int, slots: int
) -> None:
    x = noise(4000, channels)
    made = node(kind="Echo", inputs=inputs, slots=slots)
    y = render(made, StreamSpec(RATE, 256, channels), x).audio[0]
    np.testing.assert_array_equal(y[:, made.latency :], x[:, : 4000 - made.latency])
    lanes = -(-channels // inputs)
    assert len(lockstep.streams) == lanes
    assert len({pid(s) for s in lockstep.streams}) == -(-lanes // slots)
    made.close()
    assert not lockstep.streams


def test_reset_forgets_and_what_follows_is_as_from_the_start() -> None:
    made, spec = node(), StreamSpec(RATE, 64, 1)
    x = noise(64 * 20)
    render(made, spec, x)  # prepares, plays
    made.reset()
    late = made.latency
    y = np.concatenate([block(made, x[:, n * 64 :][:, :64], 64 * (20 + n)) for n in range(20)], axis=1)
    assert not y[:, :late].any()
    np.testing.assert_array_equal(y[:, late:], poles(x)[:, : 64 * 20 - late])
    made.close()


def block(made: ModelProcessor, x: np.ndarray, sample: int, marks: list | None = None) -> np.ndarray:
    out = np.full_like(x, np.nan)
    io = IO([x], [out], {}, BlockTime(sample=sample), x.shape[1])
    made.process(io)
    if marks is not None:
        marks += io.marks
    return out


def on(made: ModelProcessor, sample: int) -> None:
    for n in range(100):
        block(made, noise(64), sample + 64 * n)


def test_what_the_log_says_happens_again() -> None:
    """Absent from hop 10, begun anew with hop 14, back from hop 15: the same without a live worker failing."""
    made, spec, late = node(), StreamSpec(RATE, 32, 1), 64
    x = noise(32 * 40, level=-12.0)
    render(made, spec, np.zeros((1, 32), np.float32))
    made.reset()
    log = ProcessorRunner(made, RATE)
    log.recall("absent", 10)
    log.recall("fresh", 14)
    log.recall("back", 15)
    marks: list[tuple[str, int]] = []
    y = np.concatenate([block(made, x[:, 32 * n :][:, :32], 32 * (n + 1), marks) for n in range(40)], axis=1)
    # the harness has played hop 0; x begins with hop 1
    first = (10 - 1) * 32 + late
    np.testing.assert_array_equal(y[:, late:first], poles(x)[:, : first - late])
    assert marks[:3] == [("absent", 10), ("fresh", 14), ("back", 15)]
    assert log.standing() == []
    begun = poles(x[:, (14 - 1) * 32 :])
    back, fade = (15 - 1) * 32 + late, 480
    assert np.abs(np.diff(y)).max() < 2.0 * np.abs(np.diff(x)).max() + 0.1
    np.testing.assert_array_equal(y[:, back + fade :], begun[:, 32 + fade :][:, : y.shape[1] - back - fade])
    made.close()


@pytest.mark.parametrize("way", ["NAN", "RAISE", "EXIT", "SHAPE", "MEMORY", "CRASH"])
def test_a_file_whose_worker_dies_is_not_played_on(way: str) -> None:
    made = node(kind="Poison")
    x = noise(4000)
    x[0, 320] = getattr(Poison, way)
    with pytest.raises(WorkerLost) as raised:
        render(made, StreamSpec(RATE, 64, 1), x)
    assert re.fullmatch(
        r"the worker test (gave|raised|ended|ran|was killed) .*; the work ends .* missing", str(raised.value)
    )
    made.close()


def test_without_workers_it_is_checked_and_plays_dry() -> None:
    with devices.without_workers():
        made = node()
        x = noise(4000)
        y = render(made, StreamSpec(RATE, 64, 1), x).audio[0]
    fade = 480
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(y[:, made.latency + fade :], x[:, fade : 4000 - made.latency])


def test_a_check_in_one_thread_takes_the_workers_of_no_other() -> None:
    entered, ended = threading.Event(), threading.Event()

    def check() -> None:
        with devices.without_workers():
            entered.set()
            ended.wait(10.0)

    other = threading.Thread(target=check)
    other.start()
    assert entered.wait(10.0)
    assert not devices.workers_disabled()
    with devices.without_workers():
        ended.set()
        other.join()
    assert not devices.workers_disabled()


class TestAgain:
    """A set is played again while its worker dies of the same poison, or of none."""

    def marks(self, made: ModelProcessor, said: list[tuple[str, int]]) -> None:
        for kind, hop in said:
            ProcessorRunner(made, RATE).recall(kind, hop)

    @pytest.mark.parametrize("way", ["NAN", "HANG", "EXIT", "SLEEP"])
    def test_poison_is_taken_as_it_was(self, lockstep: pools.Lockstep, way: str) -> None:
        x = noise(32 * 60)
        x[0, 32 * 10] = getattr(Poison, way)
        said = [("absent", 10), ("fresh", 20), ("back", 20)]
        x[0, 32 * 15] = Poison.NAN  # while it is away it is not even sent
        with pools.replaying():
            y = self.played(x, said)
        z = self.played(np.where(x > 9, 0.0, x).astype(np.float32), said)
        assert np.isfinite(y).all()
        late, fade = 64, 480
        # but for the dry sound, in which the poison is heard
        wet = np.r_[late : 32 * 10 + late, 32 * 20 + late + fade : 32 * 60]
        assert y[:, wet].tobytes() == z[:, wet].tobytes()

    def played(self, x: np.ndarray, said: list[tuple[str, int]]) -> np.ndarray:
        made = node(kind="Poison")
        made.prepare(StreamSpec(RATE, 32, 1))
        self.marks(made, said)
        y = np.concatenate([block(made, x[:, 32 * n :][:, :32], 32 * n) for n in range(x.shape[1] // 32)], axis=1)
        made.close()
        return y

    def test_one_that_dies_again_and_again_is_made_again_and_again(self, lockstep: pools.Lockstep) -> None:
        x, said = noise(32 * 80), []
        for n in range(5):
            x[0, 32 * (10 + 12 * n)] = Poison.EXIT
            said += [("absent", 10 + 12 * n), ("fresh", 14 + 12 * n), ("back", 14 + 12 * n)]
        with pools.replaying():
            made = node(kind="Poison")
            made.prepare(StreamSpec(RATE, 32, 1))
            entry = made.client.streams[0].entry
            before = entry.words[WorkerWord.RESTARTS]
            marks: list[tuple[str, int]] = []
            self.marks(made, said)
            for n in range(80):
                block(made, x[:, 32 * n :][:, :32], 32 * n, marks)
            assert entry.words[WorkerWord.RESTARTS] - before == 5
            assert entry.state == State.RUNNING
            made.close()
        assert [m for m in marks if m[0] != "fresh"] == [m for m in said if m[0] != "fresh"]

    def test_a_log_that_was_begun_while_it_was_away_is_told_so(self) -> None:
        made = node()
        made.prepare(StreamSpec(RATE, 32, 1))
        log = ProcessorRunner(made, RATE)
        assert log.standing() == []
        log.recall("absent", 5)
        for n in range(10):
            block(made, noise(32), 32 * n)
        assert log.standing() == [("absent", 0)]
        json.dumps(log.standing())
        other = adapt(node(), StreamSpec(44100, 64, 2))
        other.prepare(StreamSpec(44100, 64, 2))
        assert ProcessorRunner(other, 44100).standing() == []
        other.close()
        made.close()
