"""The sets of patches/live, rendered: they sound as they did when they were accepted, and play what they say."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction as F

import numpy as np
import pytest
from tests import audio
from tools import live_sets as sets
from tools.live_sets import PARTS, RATE, Performed, Sounding, is_note
from tools.performances import LEVEL

from antiphon.kernel.plugins import loader
from antiphon.kernel.plugins.loader import Loaded
from antiphon.live import NodeNote
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import LiveEvent

NAMES = sets.names()
ACCEPT = "if it is meant: .venv/bin/python tools/live_sets.py --accept"


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return loader.load(check=False)


@pytest.fixture(scope="module")
def figures() -> Mapping[str, sets.Figures]:
    return sets.accepted_figures()


class _Performances(dict[str, Performed]):
    """What the sets play, each performed when a test asks for it first."""

    def __missing__(self, name: str) -> Performed:
        self[name] = sets.perform(name, loader.load(check=False))
        return self[name]


@pytest.fixture(scope="module")
def performed() -> Mapping[str, Performed]:
    return _Performances()


def begun(events: Sequence[LiveEvent], *sources: str) -> list[LiveEvent]:
    """The beginnings of notes, of these tracks and loops or of all."""
    return [event for event in events if is_note(event) and (not sources or event.source in sources)]


def values(event: LiveEvent) -> dict[str, object]:
    """The values of a note that has some of its own, by name."""
    return dict(zip(event.args[::2], event.args[1::2], strict=True))  # type: ignore[arg-type]


def sounds(x: np.ndarray, floor: float) -> None:
    """In no eighth of it the level is below `floor` dB, nothing of it clips, and both sides play."""
    assert np.isfinite(x).all()
    assert audio.peak(x) < 0.95, "it would clip"
    parts = np.array_split(x, 8, axis=1)
    assert [k for k, part in enumerate(parts) if audio.level(part) < floor] == [], "it falls silent"
    assert abs(audio.level(x[:1]) - audio.level(x[1:])) < 3.0, "one side alone"


# ---- what is rendered


@pytest.mark.parametrize("name", NAMES)
def test_some_bars_of_a_set_sound_as_accepted(
    name: str,
    loaded: Loaded,
    figures: Mapping[str, sets.Figures],
    performed: Mapping[str, Performed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # a fresh install has none
    x = sets.render(performed[name], loaded, PARTS[name])
    sounds(x, -40.0)
    assert sets.changes(figures[name].part, sets.measure(x)) == [], f"{ACCEPT} {name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_set_plays_what_was_accepted(
    name: str, figures: Mapping[str, sets.Figures], performed: Mapping[str, Performed]
) -> None:
    assert sets.digest(performed[name]) == figures[name].digest, f"it or its patch has changed; {ACCEPT} {name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_as_loud_as_the_others_and_lasts_a_minute(name: str, figures: Mapping[str, sets.Figures]) -> None:
    whole = figures[name].whole
    assert abs(whole.lufs - LEVEL) <= sets.SPREAD
    assert whole.peak < 0.0
    assert -20.0 < whole.width < 3.0, "neither in the middle alone nor out of phase"
    assert 50.0 <= figures[name].seconds <= 75.0


@pytest.mark.parametrize("name", NAMES)
def test_a_set_has_a_form(name: str, figures: Mapping[str, sets.Figures]) -> None:
    """Its quarters differ: some band, on average, by 6 dB from the softest to the loudest of them."""
    quarters = np.array(figures[name].whole.cells, float).reshape(4, -1, sets.BANDS).mean(axis=1)
    heard = np.maximum(quarters, quarters.max() - 50.0)
    assert np.ptp(heard, axis=0).max() > 6.0


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_set_sounds_as_accepted(
    name: str, loaded: Loaded, figures: Mapping[str, sets.Figures], performed: Mapping[str, Performed]
) -> None:
    x = sets.render(performed[name], loaded)
    sounds(x, -50.0)
    assert x.shape[1] / RATE == pytest.approx(figures[name].seconds, abs=0.01)
    assert sets.changes(figures[name].whole, sets.measure(x)) == [], f"{ACCEPT} {name}"


def test_each_set_is_checked(figures: Mapping[str, sets.Figures]) -> None:
    assert len(NAMES) >= 10
    assert set(PARTS) == set(figures) == set(NAMES)


# ---- how it is compared


@pytest.fixture(scope="module")
def tone() -> Sounding:
    return sets.measure(audio.sine(330.0, 4.0, level=-20.0, channels=2) + audio.noise(4 * RATE, 2, level=-40.0))


def test_the_same_sound_has_not_changed(tone: Sounding) -> None:
    again = audio.sine(330.0, 4.0, level=-20.0, channels=2) + audio.noise(4 * RATE, 2, level=-40.0, seed=2)
    assert sets.changes(tone, sets.measure(again)) == []


def test_a_fingerprint_has_the_levels_of_its_bands(tone: Sounding) -> None:
    cells = np.array(tone.cells)
    assert cells.shape == (sets.SEGMENTS, sets.BANDS)
    octaves = np.log2(330.0 / sets.LOWEST) / np.log2(sets.HIGHEST / sets.LOWEST)
    assert set(cells.argmax(axis=1)) == {int(octaves * sets.BANDS)}
    assert set(cells.max(axis=1)) == {-20}


@pytest.mark.parametrize(
    ("what", "add"),
    [
        ("loudness", audio.sine(330.0, 4.0, level=-30.0, channels=2)),
        ("fingerprint", audio.sine(2000.0, 4.0, level=-45.0, channels=2)),
        ("attacks", audio.clicks(list(range(9600, 180_000, 9600)), 4 * RATE, 2, 0.5)),
        ("width", np.stack([1, -1]).astype(np.float32)[:, None] * audio.sine(330.0, 4.0, level=-36.0)),
    ],
)
def test_what_has_changed_is_named(what: str, add: np.ndarray, tone: Sounding) -> None:
    base = audio.sine(330.0, 4.0, level=-20.0, channels=2) + audio.noise(4 * RATE, 2, level=-40.0)
    assert any(line.startswith(what) for line in sets.changes(tone, sets.measure(base + add)))


def test_a_track_that_is_missing_is_found(
    loaded: Loaded, figures: Mapping[str, sets.Figures], performed: Mapping[str, Performed]
) -> None:
    whole = performed["build"]
    without = replace(whole, events=[event for event in whole.events if event.source != "claps"])
    assert sets.digest(without) != figures["build"].digest
    assert sets.changes(figures["build"].part, sets.measure(sets.render(without, loaded, PARTS["build"]))) != []


# ---- what single sets play


def test_the_build_builds(performed: Mapping[str, Performed]) -> None:
    """A kick on every beat but for bars 20 to 24; hats and bass from bar 4, claps and stabs from 8; a riser."""
    events = performed["build"].events
    kicks = {event.beat for event in begun(events, "kick")}
    assert {F(k) for k in range(128) if not 80 <= k < 96} <= kicks
    assert not any(80 <= beat < 96 for beat in kicks)
    firsts = {name: min(event.beat for event in begun(events, name)) for name in ("hats", "bass", "claps", "stabs")}
    assert {name: int(beat // 4) for name, beat in firsts.items()} == {"hats": 4, "bass": 4, "claps": 8, "stabs": 8}
    rises = [(event.beat, event.args[0]) for event in events if event.address == "/node/rise/gain"]
    assert rises == [(F(78), 0.5), (F(96), 0)]


def test_the_phase_comes_home(performed: Mapping[str, Performed]) -> None:
    """The right piano is in step with the left for two lines, a note further in each, and at home after twelve."""
    events = performed["phase"].events
    left, right = ([(e.beat, e.args[0]) for e in begun(events, side)] for side in ("left", "right"))
    assert [beat for beat, _ in left] == [F(k, 4) for k in range(480)]
    line = [note for _, note in left[:12]]
    for cycle in range(12):
        start = 6 + 9 * cycle
        heard = [note for beat, note in right if start <= beat < start + 3]
        assert heard == [*line[cycle:], *line[:cycle]], f"cycle {cycle}"
    assert [note for beat, note in right if 114 <= beat < 117] == line


def test_the_bells_answer_each_chord(performed: Mapping[str, Performed]) -> None:
    events = performed["bells"].events
    chords = [8 * k for k in range(9)]
    bells = [event.beat for event in begun(events, "bells")]
    assert all(any(1 <= bell - chord <= 8 for bell in bells) for chord in chords)
    assert not any(0 < beat % 8 < 1 for beat in bells), "none before the chord has begun"


def test_the_piano_answers_with_the_notes_of_the_call(performed: Mapping[str, Performed]) -> None:
    """In the first chorus a call of two bars, in each four, and two bars of the piano that begin where it ends."""
    events = performed["trio"].events
    for start in (8, 24, 40):
        called = [event for event in begun(events, "call") if start <= event.beat < start + 16]
        answers = [event for event in begun(events, "answer") if start <= event.beat < start + 16]
        assert called
        assert answers
        assert max(event.beat for event in called) < start + 8 <= min(event.beat for event in answers)
    solo = [event for event in begun(events, "answer") if 56 <= event.beat < 104]
    assert len(solo) > 30
    assert not [event for event in begun(events, "call") if 56 <= event.beat < 104]


def test_the_piano_answers_what_is_hummed() -> None:
    """Four notes hummed in the first two bars of a call: the answer in the next two is made of them."""
    path = sets.SETS / "trio.py"
    performance = Performance(read(str(path), path.read_text(encoding="utf-8")))
    events = performance.until(F(9))
    for step, number in enumerate((61, 66, 68, 73)):
        events += performance.until(F(9 + step))
        performance.cue("hum:note", NodeNote(number, 90))
    events += performance.until(F(24))
    answer = [event for event in begun(events, "answer") if event.beat >= 16]
    assert [event.beat - 16 for event in answer if int(event.args[0]) > 60] == [F(step) for step in (1, 2, 3, 4)]
    notes = [int(event.args[0]) for event in answer][:3]
    assert notes in ([61, 66, 68], [64, 69, 71], [73, 68, 66])


def test_the_bass_walks(performed: Mapping[str, Performed]) -> None:
    """A note on every beat of three choruses, as low as a double bass, and the last a half tone from the next."""
    events = performed["trio"].events
    walk = {event.beat: int(event.args[0]) for event in begun(events, "bass") if 8 <= event.beat < 144}
    assert {F(k) for k in range(8, 144)} <= set(walk)
    assert all(27 <= note <= 42 for note in walk.values())
    assert all(abs(walk[F(k)] - walk[F(k + 1)]) == 1 for k in range(11, 140, 4))


def test_the_dub_desk_throws_and_comes_back(performed: Mapping[str, Performed]) -> None:
    events = performed["dub"].events
    throws = [float(event.args[0]) for event in events if event.address == "/node/throw/gain"]
    assert sum(gain >= 0.8 for gain in throws) >= 6
    assert min(throws) <= 0.2
    echo = [(event.beat, float(event.args[0])) for event in events if event.address == "/node/echo/feedback"]
    assert max(gain for beat, gain in echo if beat < 48) == 0.9
    assert [gain for beat, gain in echo if 47 < beat < 49] == [0.4]
    assert not [event for event in begun(events, "bass", "drums") if 40 <= event.beat < 48]


def test_the_breaks_play_slices_in_other_orders(performed: Mapping[str, Performed]) -> None:
    drums = begun(performed["breaks"].events, "drums")
    order = [(event.beat, values(event)) for event in drums]
    first = [one["note"] for beat, one in order if beat < 8]
    assert first == list(range(16)), "the loop as it is"
    dropped = [one["note"] for beat, one in order if 32 <= beat < 40]
    assert set(dropped) <= set(range(16))
    assert dropped != first
    assert any(float(str(one["speed"])) < 0 for beat, one in order if beat >= 96), "some are turned round"
    assert not [beat for beat, _ in order if 80 <= beat < 96]


def test_the_just_chords_are_whole_numbers(performed: Mapping[str, Performed]) -> None:
    """Each frequency is a ratio of whole numbers up to 18 to the lowest of its chord; so is each bell's to 55 Hz."""
    events = performed["just"].events
    for start in range(0, 64, 8):
        hertz = [
            float(event.args[0]) for event in events if event.beat == start and event.address.endswith("/frequency")
        ]
        assert len(hertz) >= 5
        for one in hertz:
            ratio = F(one / min(hertz)).limit_denominator(18)
            assert float(ratio) * min(hertz) == pytest.approx(one, rel=1e-9)
    for event in begun(events, "bells", "home"):
        ratio = F(float(str(values(event)["speed"])) * 8).limit_denominator(72)
        assert float(ratio) == pytest.approx(float(str(values(event)["speed"])) * 8, rel=1e-6)


@pytest.mark.parametrize(
    ("track", "beats", "pulses"), [("open", F(5), 5), ("slap", F(7, 2), 4), ("bongos", F(3), 5), ("blocks", F(7, 4), 3)]
)
def test_cycles_of_other_lengths_keep_their_length(
    track: str, beats: F, pulses: int, performed: Mapping[str, Performed]
) -> None:
    heard = [event.beat for event in begun(performed["euclid"].events, track) if 72 <= event.beat < 108]
    places = {beat % beats for beat in heard}
    assert len(places) == pulses
    assert all(beat + beats in heard for beat in heard if beat + beats < 108)


def test_all_break_off_and_end_together(performed: Mapping[str, Performed]) -> None:
    events = performed["euclid"].events
    silent = {event.source for event in begun(events) if 52 <= event.beat < 56}
    assert silent <= {"left", "gong"}
    last = {event.beat - 112 for event in begun(events, "last")}
    assert len(last) == 7
    assert last == {event.beat - 112 for event in begun(events, "lasttoms")}


def test_the_song_leaves_its_key_in_the_bridge_alone(performed: Mapping[str, Performed]) -> None:
    events = performed["song"].events
    scale = {7, 9, 11, 0, 2, 4, 6}
    for first, last, within in ((0, 48, True), (48, 64, False), (64, 96, True)):
        notes = {
            int(event.args[0]) % 12
            for event in begun(events, "tune", "keys", "bass", "strings")
            if first <= event.beat < last
        }
        assert (notes <= scale) is within, (first, notes - scale)


def test_the_drone_becomes_a_choir_and_grows(performed: Mapping[str, Performed]) -> None:
    events = performed["drone"].events
    amounts = [float(event.args[0]) for event in events if event.address == "/node/cast/amount"]
    assert amounts[0] == 0.0
    assert max(amounts) == 1.0
    loud = [
        np.mean([float(event.args[1]) for event in begun(events, "bows") if first <= event.beat < last])
        for first, last in ((0, 8), (16, 28), (34, 40))
    ]
    assert loud == sorted(loud)
    assert loud[-1] - loud[0] > 40
