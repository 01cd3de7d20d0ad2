"""Where sound begins and ends amid a wave: it rises over 10 ms and falls over 20 ms, live and when played again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.engine.fake_driver import BLOCK, FakeDriver
from tests.local import CATALOG, RATE, graph, ids, make, plan, play, put, staged

from antiphon.cli.serve import TAKES
from antiphon.kernel.contract.block import StreamSpec, missed_fade_out
from antiphon.kernel.engine.callback import CallbackState
from antiphon.kernel.engine.drivers.device import CallbackDriver
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.levels import FADE_IN_SECONDS, FADE_OUT_SECONDS, fit_channel_count
from antiphon.kernel.engine.loop import EngineLoop, NextPlan
from antiphon.kernel.engine.native.loop import LoopParts
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.engine.taps import NodeCapture
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.io.capture_memory import CaptureMemory, CaptureShape
from antiphon.kernel.session.actions import FadeOut, NodeReset
from antiphon.kernel.session.commands import Panic
from antiphon.offline.player import FilePlayer
from antiphon.offline.replay import replay, write_replayed_tracks
from antiphon.recording.recorder import Recorder

SPEC = StreamSpec(RATE, BLOCK, 2)
RISEN, FALLEN = round(FADE_IN_SECONDS * RATE), round(FADE_OUT_SECONDS * RATE)
LAG = 700
THROUGH = graph({}, ["in > out"])
GAIN = graph({"g": "gain"}, ["in > g", "g > out"])
LATE = graph({"l": ("lag", {"frames": LAG})}, ["in > l", "l > out"])
ECHO = graph({"e": "echo"}, ["in > e", "e > e", "e > out"])
SOURCE = graph({"c": ("count", {"plus": 4}), "l": ("lag", {"frames": LAG})}, ["c > l", "l > out"])
TONE = 0.5 * np.cos(2 * np.pi * 437 * np.arange(RATE) / RATE, dtype=np.float64)
"""A second that loops without a seam, and begins at its top."""
STEEPEST = 0.5 * 2 * np.pi * 437 / RATE + 0.6 * 2 / RISEN
"""The tone's own largest step, and what two rises of 0.6 may add to it."""


def tone(frames: int) -> np.ndarray:
    return np.tile(np.resize(TONE, frames).astype(np.float32), (2, 1))


def step(y: np.ndarray) -> float:
    """The largest."""
    return float(np.abs(np.diff(y, axis=1)).max())


@pytest.mark.parametrize("made", [THROUGH, GAIN, LATE, SOURCE], ids=["through", "gain", "late", "source"])
@pytest.mark.parametrize("before", [0, 3])
def test_the_first_plan_of_an_engine_rises_once_it_has_caught_up(made: Graph, before: int) -> None:
    stage = GraphPlayer(SPEC)
    stage.rise()
    assert not play(stage, tone(BLOCK * before + BLOCK)).any()
    stage.load(plan(made, SPEC), 1, 0.0)
    y = play(stage, tone(RATE // 2))
    assert max(step(y), np.abs(y[:, 0]).max()) < STEEPEST
    again = play(staged(made), tone(RATE // 2))
    late = LAG if made in (LATE, SOURCE) else 0
    np.testing.assert_array_equal(y[:, late + RISEN :], again[:, late + RISEN :])
    assert not y[:, :late].any()
    assert (np.abs(y[:, late : late + RISEN]) <= np.abs(again[:, late : late + RISEN])).all()


def test_the_first_frame_of_the_input_makes_no_step_in_an_echo_either() -> None:
    """The echo comes a block later, when the output has risen by half."""
    stage = GraphPlayer(SPEC)
    stage.rise()
    stage.load(plan(ECHO, SPEC), 1, 0.0)
    assert step(play(stage, tone(4096))) < STEEPEST


@pytest.mark.parametrize("made", [THROUGH, LATE, SOURCE], ids=["through", "late", "source"])
def test_after_a_panic_it_rises_once_the_plan_has_caught_up(made: Graph) -> None:
    stage = staged(made)
    play(stage, tone(RATE // 4))
    stage.take(Panic())
    play(stage, tone(BLOCK))
    y = play(stage, tone(RATE // 4))
    assert max(step(y), np.abs(y[:, 0]).max()) < STEEPEST
    assert np.abs(y).max() > 0.45


def test_a_fade_in_has_no_corner_and_what_follows_missed_blocks_rises() -> None:
    stage = GraphPlayer(SPEC)
    stage.rise()
    stage.load(plan(THROUGH, SPEC), 1, 0.0)
    first = play(stage, tone(RATE // 4))
    stage.skip(BLOCK)
    after = play(stage, tone(RATE // 4))
    bend = 2.0 * np.cos(2.0 * np.pi * 437.0 / RATE)
    for y in (first, after):
        assert np.abs(y[:, 2:] - bend * y[:, 1:-1] + y[:, :-2]).max() < 5e-4
        assert abs(y[0, 0]) < 1e-5


@pytest.mark.parametrize("made", [THROUGH, LATE, ECHO], ids=["through", "late", "echo"])
def test_a_delay_line_holds_no_cut_where_blocks_were_missed(made: Graph) -> None:
    stage = staged(made)
    parts = [play(stage, tone(RATE // BLOCK // 4 * BLOCK))]
    parts.append(parts[0][:, -1:] * missed_fade_out(BLOCK, RATE))
    stage.skip(3 * BLOCK)
    parts.append(play(stage, tone(RATE)))
    loudest = np.abs(parts[0]).max() / np.abs(TONE).max()
    assert step(np.concatenate(parts, axis=1)[:, LAG + RISEN :]) < loudest * STEEPEST


@pytest.mark.parametrize("wet", [1.0, 0.5])
@pytest.mark.parametrize("size", [64, 256])
def test_a_node_that_was_reset_rises_behind_its_latency(wet: float, size: int) -> None:
    made = graph({"l": ("lag", {"frames": LAG, "wet": wet})}, ["in > l", "l > out"])
    stage = staged(made)
    x = tone(RATE)
    whole = play(staged(made), x)
    heard = play(stage, x[:, :24000], [size])
    stage.take(NodeReset(ids(made)["l"]))
    heard = np.concatenate([heard, play(stage, x[:, 24000:], [size])], axis=1)
    assert step(heard[:, 1000:]) < STEEPEST
    np.testing.assert_array_equal(heard[:, 24000 + LAG + RISEN :], whole[:, 24000 + LAG + RISEN :])


def test_a_failed_node_that_is_reset_is_heard_dry_until_it_has_caught_up() -> None:
    made = graph({"l": ("lag", {"frames": LAG})}, ["in > l", "l > out"])
    stage = staged(made)
    x = tone(RATE)
    play(stage, x[:, :4096])
    assert stage.plan is not None
    stage.plan.hosts[1].forced = "told to"
    play(stage, x[:, 4096:24064])
    stage.take(NodeReset(1))
    y = play(stage, x[:, 24064:])
    dry = x[:, 24064 - LAG : -LAG]
    assert step(y[:, 1:]) < STEEPEST
    np.testing.assert_allclose(y[:, RISEN:LAG], dry[:, RISEN:LAG], atol=1e-6)
    np.testing.assert_allclose(y[:, LAG + RISEN :], dry[:, LAG + RISEN :], atol=1e-6)


def test_a_file_is_rendered_from_its_first_frame_at_full_level() -> None:
    x = tone(4096)
    runner = FilePlayer(THROUGH, CATALOG, make, SPEC)
    first = runner.run(x[:, :BLOCK])
    np.testing.assert_array_equal(first, x[:, :BLOCK])
    runner.close()


@pytest.mark.parametrize("block", [32, 256, 1000, 2048])
def test_the_end_is_a_fall_that_is_over_with_a_block(block: int) -> None:
    stage = staged(THROUGH, StreamSpec(RATE, block, 2))
    ones = np.full((2, block), 0.5, np.float32)
    stage.run(ones)
    stage.take(FadeOut())
    y = stage.run(ones).copy()
    while not stage.has_faded_out:
        y = np.concatenate([y, stage.run(ones)], axis=1)
    assert FALLEN <= y.shape[1] < FALLEN + block
    assert (y[:, :-FALLEN] == 0.5).all()
    line = np.arange(FALLEN - 1, -1, -1) / FALLEN
    np.testing.assert_allclose(y[0, -FALLEN:], 0.5 * (3.0 * line**2 - 2.0 * line**3), atol=1e-6)
    assert not stage.run(ones).any(), "and nothing more"


class Served:
    """The engine's loop over a file, and a recorder that keeps its set, or its tracks; without processes."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.shared, self.bell = Shared.create(MappingShape.of(RATE, BLOCK, 2)), os.eventfd(0, os.EFD_NONBLOCK)
        self.folder, self.memory = folder, CaptureMemory.create(CaptureShape(RATE, BLOCK, 4000))
        self.recorder = Recorder(self.shared, folder.parent, kept=self.memory, takes=TAKES)
        self.recorder.handle({"do": kind, "path": str(folder)})
        self.missed: set[int] = set()  # numbers of blocks that are computed, and too late to be played
        self.start(40)

    def start(self, first: int, died: int = 0) -> None:
        """An engine's life as `process.run` begins it."""
        words, stage = self.shared.words, GraphPlayer(SPEC)
        self.driver = FakeDriver(first)
        parts = LoopParts(fit_channel_count(TONE[None].astype(np.float32), 2), capture=NodeCapture(self.memory))
        self.loop = EngineLoop(stage, self.driver, self.shared, self.bell, parts)
        if not died:
            words[HeaderWord.FIRST_BLOCK] = first
        self.loop.begin(first, died)

    def load(self, made: Graph) -> None:
        text = {"graph": made.to_json(), "ids": ids(made), "serial": 1, "fade": 0.0, "tempo": 0.0}
        self.loop.next_plan = NextPlan(plan(made, SPEC), 1, 0.0, 0.0, json.dumps(text).encode())

    def run(self, blocks: int) -> None:
        play = self.loop.player.run
        for _ in range(blocks):
            self.loop.player.run = play if self.driver.next not in self.missed else self.miss  # type: ignore[method-assign]
            assert self.loop.run_block()
            self.driver.play()
        self.recorder.turn()

    def miss(self, x: np.ndarray) -> np.ndarray:
        self.driver.play(plays=False)
        return GraphPlayer.run(self.loop.player, x)

    def close(self) -> None:
        self.recorder.close()
        os.close(self.bell)
        os.close(self.shared.fd)

    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Input and output of the set, float32 `[2, frames]`."""
        came, heard = (
            soundfile.read(self.folder / name, dtype="float32", always_2d=True)[0].T
            for name in ("input.wav", "output.wav")
        )
        return came, heard


@pytest.fixture(params=["session", "tracks"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "set", request.param)
    yield made
    if made.bell >= 0:
        made.close()


def played_again(folder: Path) -> np.ndarray:
    source = iter([np.ascontiguousarray(soundfile.read(folder / "input.wav", dtype="float32")[0].T)])
    stems = folder.with_name("stems")
    stems.mkdir()
    with write_replayed_tracks(stems, SPEC, 0, lambda _line: None) as tracks:
        heard = np.concatenate(list(replay(folder, source, CATALOG, make, tracks)), axis=1)
    for kept in folder.glob("*.wav"):
        np.testing.assert_array_equal(
            *(soundfile.read(part / kept.name, dtype="float32")[0] for part in (stems, folder))
        )
    return heard


def test_a_set_with_its_beginnings_and_its_end_is_the_same_played_again(served: Served) -> None:
    served.run(7)
    served.load(LATE)
    served.run(60)
    served.loop.player.take(put(LATE, "l", "wet", 0.5))
    served.loop.player.take(NodeReset(1))
    served.run(30)
    served.loop.player.take(Panic())
    served.run(25)
    served.missed = {served.driver.next + 1}
    served.run(5)
    served.missed = {served.driver.next + 5}  # right before blocks that are not computed
    served.run(6)
    served.driver.start(served.driver.next + 2, 1)
    served.run(4)
    # an engine was killed, and another takes up
    killed = served.driver.next
    served.start(killed + 11, killed)
    served.run(3)
    served.load(LATE)
    served.run(40)
    served.loop.end()
    served.close()
    served.bell = -1
    came, heard = served.kept()
    began, again = 7 * BLOCK, (127 + 12 + 11 + 3) * BLOCK
    assert not came[:, :began].any()
    np.testing.assert_array_equal(came[:, began : began + RATE // 4], tone(RATE // 4))
    # the file goes on by the clock
    np.testing.assert_array_equal(came[0, again:], tone(came.shape[1])[0, again - began : -began])
    assert step(came[:, began:]) < STEEPEST, "it rises behind what was missed"
    cut = np.abs(np.diff(heard, axis=1, prepend=0.0))
    at_panic = slice(97 * BLOCK, 98 * BLOCK)
    cut[:, at_panic] = 0.0
    assert cut.max() < STEEPEST
    assert not heard[:, -1].any()
    assert np.abs(heard[:, -FALLEN : -FALLEN + 200]).max() > 0.4
    np.testing.assert_array_equal(played_again(served.folder), heard)


def test_a_device_is_closed_once_it_has_played_what_it_was_given() -> None:
    state = CallbackState(64, 2, 2, ahead=2)
    driver = CallbackDriver(state, RATE, 64, 2, 2)
    driver.start(10, 0)
    driver.deliver(13, np.zeros((2, 64), np.float32))
    calls: list[int] = []

    class Bell:
        """Each wait is a callback."""

        def poll(self, _ms: float) -> list[tuple[int, int]]:
            state.view[0] += 1
            calls.append(state.calls)
            os.eventfd_write(state.bell, 1)
            return [(state.bell, 1)]

    driver._poll = Bell()  # type: ignore[assignment]
    driver.drain()
    # block 13 is the fourth: copied two callbacks later
    assert calls[-1] == 4 + 2
    driver.stop()
