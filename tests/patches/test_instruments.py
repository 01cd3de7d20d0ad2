"""Every patch that ships as an instrument, played: level, scenes, controllers, hints, and what a fresh install has."""

import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.patches import performances
from tests.patches.performances import GALLERY, ODE_ON, PERFORMANCES, RATE, TUNE_ON, difference

from antiphon.kernel.graph import clips, patch
from antiphon.kernel.runtime import resources
from antiphon.offline.player import FilePlayer
from antiphon.operations import patch_list
from antiphon.operations.patch_list import TOOLS
from antiphon.signal.loudness import LoudnessMeter
from antiphon.testing import sound as audio

pytestmark = pytest.mark.slow

LISTED = {entry.name: entry for entry in patch_list.entries() if entry.listed and not entry.own}
INSTRUMENTS = sorted(name for name, entry in LISTED.items() if entry.group != TOOLS)
SPREAD = 3.0
"""LU between the loudest instrument and the softest, as they begin."""
SCENE_SPREAD = 4.0
"""LU between an instrument as it begins and in a scene."""
HEARD = 1.0
"""dB by which the cells of two scenes differ on average: less may be missed, and all that ship are above it."""
WRITTEN = {
    name: (line, float(lufs), [float(one) for one in scenes.strip(" ()").split(", ") if one], float(peak))
    for name, line, lufs, scenes, peak in re.findall(
        r"### (\w+)\n\n(.+)\n\n!\[Spectrogram\]\(patches/\1\.png\)\n\n"
        r"(-[\d.]+) LUFS( \(.+\))?, peak (-[\d.]+) dBFS",
        GALLERY.partition("## Live sets")[0],
    )
}
"""Line, LUFS at first and in each scene, and peak of each patch in docs/gallery.md."""
QUICK = [
    "bed", "cast", "click", "cloud", "drone", "duo", "glass", "layers", "quilt", "rain",
    "remix", "shadow", "tape", "trade", "tune", "voice", "wah",
]  # fmt: skip
"""Patches that together have a node of each type; `make test-real` plays the others."""
PYO = ("piano", "bass", "pad", "pluck", "strings", "drums")
"""Instruments that need no scsynth."""


def marks(name):
    """Of a performance: whether it is played by `make test`, and whether a synth of another distribution plays it."""
    slow = [] if name in QUICK else [pytest.mark.real]
    path = resources.patches() / f"{name}.toml"
    played = path.is_file() and 'type = "synth"' in path.read_text()
    return [*slow, *([pytest.mark.needs("pyo")] if played else [])]


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in sorted(PERFORMANCES)])
def test_it_sounds_as_its_page_says(name, loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # a fresh install has none
    rendered, (_, lufs, scenes, _) = performances.render(name, loaded), WRITTEN[name]
    assert rendered.failures == []
    assert audio.peak(rendered.sound) < 1.0, "it clips"
    assert np.isfinite(rendered.sound).all()
    assert LoudnessMeter.of(rendered.first(), RATE) == pytest.approx(lufs, abs=0.5)
    for number, written in zip(rendered.scenes, scenes, strict=True):
        assert LoudnessMeter.of(rendered.scene(number), RATE) == pytest.approx(written, abs=1.0)
        here, beside = rendered.change(number)
        assert here <= max(1.5 * beside, 2e-3), f"scene {number} clicks"
    for before, after in pairwise(rendered.scenes):
        assert difference(rendered.scene(before), rendered.scene(after)) > HEARD, (before, after)


BAND = ("piano", "guitar", "bass", "drums", "pad")


@pytest.mark.needs("accompany", "follow", "pyo")
@pytest.mark.parametrize(
    ("name", "player", "others"),
    [
        pytest.param("duo", "tune", ("band",)),
        pytest.param("bandstand", "solo", BAND, marks=pytest.mark.real),
        pytest.param("concerto", "keys", ("strings",), marks=pytest.mark.real),
    ],
)
def test_who_plays_with_a_band_is_as_loud_as_all_of_it_or_a_little_louder(name, player, others, loaded, monkeypatch):
    # a tune in which a band that waits for the player's tempo has played several bars
    usual = {"concerto": ODE_ON, "duo": TUNE_ON}.get(name, PERFORMANCES[name])
    monkeypatch.setitem(PERFORMANCES, name, replace(usual, notes=tuple(replace(n, velocity=84) for n in usual.notes)))
    own, band = (audio.level(performances.render(name, loaded, muted).first()) for muted in (others, (player,)))
    assert 0.0 <= own - band <= 4.5


@pytest.mark.needs("answer", "loops")
def test_the_quick_ones_have_a_node_of_each_type(loaded):
    types = {
        name: {node.type for node in patch.load(entry.path, loaded.catalog, trusted=True).graph.nodes}
        for name, entry in LISTED.items()
    }
    assert set().union(*(types[name] for name in QUICK)) == set().union(*types.values())


@pytest.mark.needs("answer")
def test_every_instrument_has_a_performance():
    assert set(PERFORMANCES) == set(LISTED)
    assert len(INSTRUMENTS) >= 30


def test_instruments_begin_within_three_units_of_each_other():
    levels = {name: WRITTEN[name][1] for name in INSTRUMENTS}
    assert max(levels.values()) - min(levels.values()) <= SPREAD, sorted(levels.items(), key=lambda item: item[1])
    for name in INSTRUMENTS:
        _, lufs, scenes, peak = WRITTEN[name]
        assert all(abs(one - lufs) <= SCENE_SPREAD + 1e-9 for one in scenes), name
        assert peak < 0.0, name


@pytest.mark.needs("answer")
def test_the_gallery_has_the_patches_as_they_are():
    assert {name: written[0] for name, written in WRITTEN.items()} == {e.name: e.line for e in LISTED.values()}


def test_it_has_scenes_controllers_and_a_hint_that_holds(loaded):
    for name in INSTRUMENTS:
        entry = LISTED[name]
        found = patch.load(entry.path, loaded.catalog, trusted=True)
        assert len(found.scenes) >= 2
        assert len({target for control, target in found.midi.items() if control != "out"}) >= 2
        # what one scene sets every scene sets: which was recalled before makes no difference
        assert len({frozenset(values) for values in found.scenes.values()}) == 1, name
        assert entry.hint == found.hint
        assert re.fullmatch(r"[A-Z].{20,250}[.]", found.hint)
        said = entry.line + found.hint
        assert not re.search(r"`|/\w|_", found.hint), "it is read on the page, by someone who never sent a message"
        assert {int(number) for number in re.findall(r"scene (\d+)", said)} <= set(found.scenes)
        plays = any(node.type == "synth" for node in found.graph.nodes)
        pedals = {"64"} if plays else set()
        assert set(re.findall(r"\bcc (\d+)", said)) <= {key.split()[1] for key in found.midi if key != "out"} | pedals


def test_it_needs_nothing_that_a_fresh_install_lacks(loaded):
    for name in sorted(LISTED):
        shipped = patch.load(LISTED[name].path, loaded.catalog, trusted=True)
        for node in shipped.graph.nodes:
            assert node.type != "model"
            assert node.values.get("instrument", "piano") in PYO
            for param in loaded.catalog[node.type].params:
                value = node.values.get(param.name)
                if param.kind == "file" and value:
                    found_at = Path(clips.locate_asset(str(value)))
                    assert found_at.is_relative_to(resources.folder("library")), (node.name, value)


def test_tools_are_apart_and_checks_are_not_listed():
    assert {name for name, entry in LISTED.items() if entry.group == TOOLS} == {"tune", "click", "soundcheck"}
    assert not {"through", "worker", "bench8"} & set(LISTED)
    names = patch_list.names()
    assert names[-3:] == ["click", "soundcheck", "tune"]
    assert names[:-3] == sorted(names[:-3])
    assert all(LISTED[name].group for name in LISTED)


# ---- how it is measured


def test_what_comes_in_has_one_level():
    for name, make in performances.SOUNDS.items():
        assert LoudnessMeter.of(make(), RATE) == pytest.approx(performances.LEVEL, abs=0.1), name
        assert audio.peak(make()) < 1.0, name


@pytest.mark.parametrize("note", [45, 48, 52, 57])
def test_the_wah_opens_as_the_string_is_struck_harder(loaded, note):
    """In the middle of a guitar's range the centroid rises with each velocity, and the level stays near the input's."""
    softest = audio.level(performances.string(note, 127, 0.9)[None].astype(np.float32))
    found = patch.load("wah", loaded.catalog)
    centroids, gains = [], []
    for velocity in (30, 60, 90, 127):
        x = np.zeros((2, RATE), np.float32)
        tone = performances.string(note, velocity, 0.9) * 10.0 ** ((-22.0 - softest) / 20.0)
        x[:, 2400 : 2400 + tone.size] = tone
        y = FilePlayer(found.graph, loaded.catalog, loaded.make, performances.SPEC, found.tempo).sound([x])
        struck = slice(2400, 2400 + 3 * RATE // 10)
        centroids.append(centroid(y[0, struck]))
        gains.append(audio.level(y[:, struck]) - audio.level(x[:, struck]))
    assert all(harder > 0.97 * softer for softer, harder in pairwise(centroids)), centroids
    assert centroids[-1] > 1.8 * centroids[0], centroids
    assert centroids[-1] < 2500.0
    # from 60 on; a soft note is raised by up to 12 dB, which a compressor's makeup is for
    assert all(-2.0 < gain < 9.0 for gain in gains[1:]), gains


def centroid(x):
    power = np.abs(np.fft.rfft(x * np.hanning(x.size))) ** 2
    hertz = np.fft.rfftfreq(x.size, 1.0 / RATE)
    return float((power * hertz).sum() / power.sum())
