"""The sets of patches/live, rendered: they sound all the time, as loud as their page says, and play what they say."""

import ast
import re
import sys
from collections.abc import Sequence
from fractions import Fraction as F

import numpy as np
import pytest
import soxr
from tests.patches.performances import GALLERY, LEVEL, RATE, SPEC

import antiphon
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime import resources
from antiphon.kernel.session.commands import SetTransport
from antiphon.kernel.session.notes import Players
from antiphon.lessons.lessons import lessons
from antiphon.live import NodeNote
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import LiveEvent
from antiphon.offline.commands import param_finder
from antiphon.offline.player import FilePlayer
from antiphon.offline.script_run import ScriptProcess, commands, frames_of
from antiphon.signal.loudness import LoudnessMeter
from antiphon.testing import sound as audio

pytestmark = pytest.mark.slow

SETS = resources.patches() / "live"
SUNG = {"round"}
"""Sets with a voice: rendered by the tests of the plugin `sing`."""
NAMES = sorted(path.stem for path in SETS.glob("*.py") if path.stem not in SUNG)
SOME = {"build": (17, 20), "dub": (5, 7)}
"""Sets of which some bars are rendered: by drums and notes; `make test-real` renders all whole."""
SCRIPTED = [one for one in lessons() if one.head.check.kind == "events"]
SPREAD = 1.5
"""LU between a set and `LEVEL`."""
WRITTEN = {
    name: (float(seconds), float(lufs))
    for name, seconds, lufs in re.findall(
        r"### (\w+)\n(?:(?!###).)*?bars, (\d+) s; (-[\d.]+) LUFS", GALLERY.partition("## Live sets")[2], re.DOTALL
    )
}


def begun(events: Sequence[LiveEvent], *sources: str) -> list[LiveEvent]:
    """The beginnings of notes of these tracks and loops."""
    return [event for event in events if event.address.endswith(("/note/on", "/play")) and event.source in sources]


def excerpt(events: Sequence[LiveEvent], low: F, high: F) -> list[LiveEvent]:
    """Events between two beats, moved to the beginning, with the values valid at their start."""
    settings: dict[str, LiveEvent] = {}
    part: list[LiveEvent] = []
    for event in events:
        if low <= event.beat < high:
            part.append(LiveEvent(event.beat - low, event.address, event.args, event.source, event.line))
        elif event.beat < low and not event.address.endswith("/play") and "/note" not in event.address:
            settings[event.address] = LiveEvent(F(0), event.address, event.args[:1], event.source, event.line)
    return [*settings.values(), *part]


def rendered(name: str, loaded: Loaded, bars: tuple[int, int] | None = None) -> np.ndarray:
    """A set, or some bars of it, by the live code: float32 `[2, frames]`, without what sounds on after the end."""
    path = SETS / f"{name}.py"
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    command = re.search(rf"antiphon render patches/live/{name}\.py --bars (\d+) --out {name}\.wav", said)
    assert command, "its docstring says how it is rendered"
    first, last = bars or (0, int(command[1]))
    with ScriptProcess(str(path)) as script:
        beside = SETS / script.header.patch
        source = beside if beside.is_file() else resources.patches() / f"{script.header.patch}.toml"
        patch, bar = patches.load(source, loaded.catalog, trusted=True), script.header.bar
        events = excerpt(script.play(bar * last, patch.tempo), first * bar, last * bar)
    graph = patch.graph
    played = commands(events, name, param_finder(graph, loaded.catalog), Players(graph, loaded.catalog))
    begun = (SetTransport(True), *played)
    player = FilePlayer(graph, loaded.catalog, loaded.make, SPEC, patch.tempo, begun)
    sound = player.sound(frames=frames_of(events, (last - first) * bar, RATE, patch.tempo))
    assert (player.failures, player.dropped, list(player.counts())) == ([], 0, [])
    return sound


def sounds(x: np.ndarray, floor: float) -> None:
    """In no eighth of it the level is below `floor` dB, nothing of it clips, and both sides play."""
    assert np.isfinite(x).all()
    assert audio.peak(x) < 0.95, "it would clip"
    parts = np.array_split(x, 8, axis=1)
    assert [k for k, part in enumerate(parts) if audio.level(part) < floor] == [], "it falls silent"
    assert abs(audio.level(x[:1]) - audio.level(x[1:])) < 3.0, "one side alone"


@pytest.mark.parametrize("name", SOME)
def test_some_bars_of_a_set_sound(name: str, loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # a fresh install has none
    sounds(rendered(name, loaded, SOME[name]), -40.0)


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_set_sounds_as_its_page_says(name: str, loaded: Loaded) -> None:
    x, (seconds, lufs) = rendered(name, loaded), WRITTEN[name]
    sounds(x, -50.0)
    assert x.shape[1] / RATE == pytest.approx(seconds, abs=0.6)
    assert LoudnessMeter.of(x, RATE) == pytest.approx(lufs, abs=0.5)


def test_a_set_is_as_loud_as_the_others_and_lasts_a_minute() -> None:
    assert len(NAMES) >= 10
    assert set(WRITTEN) == set(NAMES)
    for seconds, lufs in WRITTEN.values():
        assert abs(lufs - LEVEL) <= SPREAD
        assert 50.0 <= seconds <= 75.0


@pytest.mark.parametrize(
    "name", [pytest.param(one.name, marks=pytest.mark.real if place else ()) for place, one in enumerate(SCRIPTED)]
)
def test_the_sound_of_a_lesson_is_as_loud_as_a_set(name: str) -> None:
    (lesson,) = (one for one in SCRIPTED if one.name == name)
    made = antiphon.render(lesson.script(lesson.head.solution), bars=4)
    assert abs(LoudnessMeter.of(made.sound, made.rate) + 16.0) <= 4.0
    assert np.abs(soxr.resample(made.sound.T, 1, 8)).max() <= 10 ** (-1.0 / 20.0)


def test_the_piano_answers_what_is_hummed() -> None:
    """Four notes hummed in the first two bars of a call: the answer in the next two is made of them."""
    path = SETS / "trio.py"
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
