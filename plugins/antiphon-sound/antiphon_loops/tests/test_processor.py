"""On the clock: any blocks, a tempo that changes, bars on which things change; live, nothing waits for the work."""

import time as clock
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api import IO, BlockTime, PluginError, StreamSpec, Value
from antiphon.api.backends.rendering import prepare_processor
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.workers import devices
from antiphon.networks.lockstep import Lockstep
from antiphon_loops.arrange import LoopRequest
from antiphon_loops.maker import MaterialMaker
from antiphon_loops.processor import Loops
from antiphon_loops.tests.conftest import render

SPEC = StreamSpec(48000, 512, 2)
Change = tuple[int, str, Value]


class Deck:
    """A processor on a clock of its own: changes at samples, `tempo` among them; what it marks is kept.

    steps: whether its step plays the blocks that it can, which are counted, as a plan has it.
    """

    maker: MaterialMaker | None = None
    steps, stepped = False, 0

    def __init__(self, processor: Loops, values: dict[str, Value], tempo: float = 120.0) -> None:
        self.processor, self.cells = processor, prepare_processor(processor, SPEC, values)
        source = processor._source
        if source is not None and source.maker is not None and Deck.maker is not None:
            source.maker = Deck.maker
        self.map, self.time = TempoMap(SPEC.rate, tempo, end_bpm=tempo), BlockTime(tempo=tempo)
        self.reports: dict[str, float] = {}
        self.marks: list[tuple[int, str, int]] = []

    def play(self, frames: int, changes: Sequence[Change] = (), blocks: Sequence[int] = (512,)) -> np.ndarray:
        """Each change is at the start of the block it falls in, which begins there."""
        pieces, at, sizes = [], 0, 0
        waiting = sorted(changes)
        while at < frames:
            size = min(blocks[sizes % len(blocks)], frames - at)
            sizes += 1
            changed = False
            while waiting and waiting[0][0] <= at:
                _, name, value = waiting.pop(0)
                changed = changed or name in self.cells
                if name == "tempo":
                    self.map.set_tempo(self.time.sample, float(value))
                elif name == "playing":
                    self.time.playing = bool(value)
                else:
                    self.cells.change(name, value)
            if waiting:
                size = min(size, waiting[0][0] - at)
            self.cells.render(self.time.sample, size)
            self.time.beat = self.map.beat_at(self.time.sample)
            self.time.tempo = self.map.end_bpm
            out = np.full((2, size), np.nan, np.float32)
            io = IO((), (out,), self.cells, self.time, size, reports=self.reports)
            step = self.processor.step(io) if self.steps and not changed else None
            if step is not None and step.bound()():
                self.stepped += 1
            else:
                self.processor.process(io)
            self.marks += [(self.time.sample, *mark) for mark in io.marks]
            self.cells.settle(self.time.sample + size)
            pieces.append(out)
            self.time.sample += size
            at += size
        return np.concatenate(pieces, axis=1)


@pytest.fixture(autouse=True)
def made_once(maker: MaterialMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deck, "maker", maker)


@pytest.fixture
def deck(library: Path) -> Iterator[Deck]:
    made = Deck(Loops(), {"library": str(library), "bars": 4})
    yield made
    made.processor.close()


CHANGES: list[Change] = [(30000, "intensity", 0.1), (60000, "tempo", 126.0), (100000, "intensity", 1.0)]


def test_any_blocks_give_the_same_samples(library: Path):
    values: dict[str, Value] = {"library": str(library), "bars": 4}
    whole = Deck(Loops(), values).play(112000, CHANGES)
    assert np.abs(whole).max() > 0.1

    @settings(max_examples=3)
    @given(blocks=st.lists(st.integers(1, 512), min_size=1, max_size=4))
    def split(blocks: list[int]) -> None:
        made = Deck(Loops(), values).play(112000, CHANGES, [max(64, b) for b in blocks] + blocks[:1])
        np.testing.assert_allclose(made, whole, atol=1e-5)

    split()


@pytest.mark.parametrize(("bpm", "block"), [(0.0, 64), (97.0, 64), (97.0, 512)])
def test_bars_in_machine_code_are_those_of_process(library: Path, bpm: float, block: int):
    values: dict[str, Value] = {"library": str(library), "bars": 4, "bpm": bpm}
    changes = [*CHANGES, (130000, "playing", False), (150000, "playing", True), (200000, "tempo", 133.0)]
    changes += [(250000, "bpm", 110.0 if bpm == 0.0 else 0.0)]  # a jump, of which a block of 512 fades all
    made, whole = Deck(Loops(), values), Deck(Loops(), values)
    made.steps = True
    np.testing.assert_array_equal(made.play(480000, changes, [block]), whole.play(480000, changes, [block]))
    assert made.reports == whole.reports
    assert made.stepped > (0.9 if block == 64 else 0.7) * 460000 / block


def test_intensity_changes_on_the_bar(deck: Deck, library: Path):
    steady = Deck(Loops(), {"library": str(library), "bars": 4}).play(96000 * 3)
    changed = deck.play(96000 * 3, [(20000, "intensity", 0.0)])
    fade = round(0.012 * 48000) + 2
    np.testing.assert_allclose(changed[:, : 96000 - fade], steady[:, : 96000 - fade], atol=1e-6)
    assert np.abs(changed[:, 96000:192000] - steady[:, 96000:192000]).max() > 0.05
    assert deck.reports["layers"] == 1


def test_it_stops_with_the_transport_and_goes_on(deck: Deck):
    sound = deck.play(200000, [(60000, "playing", False), (120000, "playing", True)])
    assert np.abs(sound[:, 50000:60000]).max() > 0.05
    assert not sound[:, 60000 + 300 : 120000].any()
    assert np.abs(np.diff(sound[:, 59900:60400])).max() < 0.5
    assert np.abs(sound[:, 130000:]).max() > 0.05


@pytest.mark.parametrize("blocks", [(512,), (100, 37)])
def test_a_jump_does_not_click(library: Path, blocks: tuple[int, ...]):
    deck = Deck(Loops(), {"library": str(library), "bars": 4, "instruments": "chords", "bpm": 100.0}, tempo=90.0)
    sound = deck.play(90000, [(70000, "bpm", 0.0)], blocks)
    steps = np.abs(np.diff(sound, axis=1)).max(axis=0)
    assert steps[69990:70400].max() < 1.5 * steps[10000:69000].max()
    assert np.abs(sound[:, 69700:70000]).max() > 0.02
    assert np.abs(sound[:, 70500:80000]).max() > 0.02


def test_a_change_is_asked_for_within_the_beat_and_a_ramp_at_the_bar(library: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, float, int]] = []

    class Idle:
        count, busy, problem = 8, False, ""

        def __init__(self, folder: Path, rate: int) -> None: ...

        def ask(self, place: int, want: LoopRequest) -> None:
            asked.append((place, want.bpm, want.seed))

        def take(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(devices.CONTEXT, "pool", _Live())
    monkeypatch.setattr("antiphon_loops.processor.ArrangementWorker", Idle)
    deck = Deck(Loops(), {"library": str(library)})
    deck.play(96000)
    deck.play(96000, [(30000, "seed", 5)])
    deck.play(96000, [(n * 24000 + 100, "tempo", 120.0 + n) for n in range(1, 4)])
    deck.play(96000)
    places = [place for place, _, _ in asked]
    # the first block; the second bar's second beat; the third bar's end, after one tempo a beat, and where it is steady
    assert [(bpm, seed) for _, bpm, seed in asked][:2] == [(120.0, 1), (120.0, 5)]
    assert places[1] == 5 + 2
    assert asked[-1][1:] == (123.0, 5)
    assert len(asked) <= 4


def test_no_library_is_silence_and_a_wrong_one_a_sentence(tmp_path: Path):
    assert not Deck(Loops(), {}).play(4096).any()
    with pytest.raises(PluginError, match="no loop"):
        Deck(Loops(), {"library": str(tmp_path)})
    with pytest.raises(PluginError, match="kazoo"):
        Deck(Loops(), {"instruments": "kazoo"})


def test_mono_and_many_channels(library: Path):
    stereo = render(library, {"bars": 1, "bpm": 120.0}, 44100)
    np.testing.assert_allclose(render(library, {"bars": 1, "bpm": 120.0}, 44100, 1)[0], stereo.mean(axis=0), atol=1e-6)
    four = render(library, {"bars": 1, "bpm": 120.0}, 44100, 4)
    np.testing.assert_array_equal(four[:2], stereo)
    assert not four[2:].any()


def test_a_text_that_changes_is_gone_on_from(library: Path):
    """The engine makes a new processor: it plays what the old one does until the bar line."""
    first, second = Loops(), Loops()
    first.node = second.node = 7
    values: dict[str, Value] = {"library": str(library), "bars": 4}
    one = Deck(first, values)
    one.play(40960)
    two = Deck(second, {**values, "instruments": "drums"})
    two.time.sample = 40960
    two.map, two.time.beat = one.map, one.time.beat
    a, b = map(np.hstack, zip(*((one.play(512), two.play(512)) for _ in range(280)), strict=True))
    line = 96000 - 40960 - round(0.012 * 48000) - 2
    np.testing.assert_allclose(b[:, :line], a[:, :line], atol=1e-6)
    assert np.abs(a[:, 96000 - 40960 :] - b[:, 96000 - 40960 :]).max() > 0.02
    first.close()
    second.close()


def test_at_its_own_tempo_the_material_comes_out_as_it_is(library: Path):
    deck = Deck(Loops(), {"library": str(library), "bars": 4, "instruments": "chords", "intensity": 0.0})
    sound = deck.play(90000)
    material = deck.processor._now
    assert material is not None
    track = material.tracks[material.plan.bars[0][0].choice]
    np.testing.assert_allclose(sound[:, 200:], track.sound[:, 216:90016] * material.gain, atol=1e-5)


class _Live:
    lockstep = False

    def __init__(self) -> None:
        self.newest: dict[tuple[str, int], object] = {}


def test_live_nothing_waits_and_a_replay_is_the_same(
    library: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    values: dict[str, Value] = {"library": str(library), "bars": 4}
    monkeypatch.setattr(devices.CONTEXT, "pool", _Live())
    live = Deck(Loops(), values)
    heard, changes = [], []
    deadline = clock.monotonic() + 240
    wanted = {"seed": 0, "tempo": 0}
    while clock.monotonic() < deadline and len([m for m in live.marks if m[1] == "swap"]) < 3:
        swaps = len([m for m in live.marks if m[1] == "swap"])
        now: list[Change] = []
        for name, value, after in (("tempo", 140.0, 1), ("seed", 9, 2)):
            if swaps == after and not wanted[name]:
                wanted[name] = 1
                now.append((0, name, value))
                changes.append((live.time.sample, name, value))
        heard.append(live.play(512, now))
        clock.sleep(0.01)
    heard.append(live.play(100000))
    live.processor.close()
    swaps = [m for m in live.marks if m[1] == "swap"]
    assert len(swaps) >= 3, live.processor._source
    sound = np.concatenate(heard, axis=1)
    assert np.abs(sound[:, swaps[0][0] + 1000 : swaps[1][0]]).max() > 0.05
    lockstep = Lockstep()
    request.addfinalizer(lockstep.shut)
    monkeypatch.setattr(devices.CONTEXT, "pool", lockstep)
    replay = Deck(Loops(), values)
    by_block: dict[int, list[tuple[str, int]]] = {}
    for sample, kind, number in live.marks:
        by_block.setdefault(sample, []).append((kind, number))
    again = []
    while replay.time.sample < sound.shape[1]:
        for kind, number in by_block.get(replay.time.sample, []):
            for part in replay.processor.parts:
                part.recall(kind, number)
        at = replay.time.sample
        again.append(replay.play(min(512, sound.shape[1] - at), [(0, n, v) for s, n, v in changes if s == at]))
    np.testing.assert_array_equal(np.concatenate(again, axis=1), sound)
