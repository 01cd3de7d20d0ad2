"""The sets of patches/live, rendered: they sound as they did when they were accepted, and play what they say."""

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
SOME = ("build", "dub")
"""Sets of which some bars are rendered: by drums and notes; `make test-real` renders the others whole."""
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


def sounds(x: np.ndarray, floor: float) -> None:
    """In no eighth of it the level is below `floor` dB, nothing of it clips, and both sides play."""
    assert np.isfinite(x).all()
    assert audio.peak(x) < 0.95, "it would clip"
    parts = np.array_split(x, 8, axis=1)
    assert [k for k, part in enumerate(parts) if audio.level(part) < floor] == [], "it falls silent"
    assert abs(audio.level(x[:1]) - audio.level(x[1:])) < 3.0, "one side alone"


# ---- what is rendered


@pytest.mark.parametrize("name", SOME)
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


def test_a_set_is_as_loud_as_the_others_and_lasts_a_minute(figures: Mapping[str, sets.Figures]) -> None:
    for name in NAMES:
        whole = figures[name].whole
        assert abs(whole.lufs - LEVEL) <= sets.SPREAD
        assert whole.peak < 0.0
        assert -20.0 < whole.width < 3.0, "neither in the middle alone nor out of phase"
        assert 50.0 <= figures[name].seconds <= 75.0


def test_a_set_has_a_form(figures: Mapping[str, sets.Figures]) -> None:
    """Its quarters differ: some band, on average, by 6 dB from the softest to the loudest of them."""
    for name in NAMES:
        quarters = np.array(figures[name].whole.cells, float).reshape(4, -1, sets.BANDS).mean(axis=1)
        heard = np.maximum(quarters, quarters.max() - 50.0)
        assert np.ptp(heard, axis=0).max() > 6.0


@pytest.mark.real
@pytest.mark.parametrize("name", sorted({*NAMES} - {*SOME}))
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
