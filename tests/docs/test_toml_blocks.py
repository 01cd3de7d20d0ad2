"""Each block of toml on the pages is a patch that is heard, or is named here with what tests it."""

import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.commands import PAGES, blocks

from antiphon.cli.commands import application
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.files.scores.midifile import write
from antiphon.testing import sound as audio

pytestmark = pytest.mark.slow


def antiphon(*words: str) -> None:
    code = application(words).main(args=list(words), prog_name="antiphon", standalone_mode=False)
    assert not code, words


AROUND: dict[str, tuple[str, str]] = {
    '"cc 21" = "clean.threshold"': (
        """nodes = {clean = {type = "denoise"}, hum = {}, keys = {type = "synth"}}
        wires = {"in" = "clean", "clean" = "hum", "hum.notes" = "keys", "keys" = "out"}""",
        "voice.wav",
    ),
    "# band.toml": ("", ""),
    'nodes.classify = {by = "instruments", seconds = 5}': ("", "voice.wav"),
    "[nodes.echo_cancel]": ("", "voice.wav"),
    "[nodes.fingers]": ("", "melody.mid"),
    "[macros]": (
        """nodes = {tone = {type = "filter"}, echo = {type = "delay"}}
        wires = {"in" = "tone", "tone" = "echo", "echo" = "out"}""",
        "voice.wav",
    ),
    "[nodes.hum]": ("", "voice.wav"),
    "[nodes.leader]": ("", "voice.wav"),
    '"metronome" = "out.cue"': ('nodes = {drums = {type = "sampler"}, metronome = {on = true}}', "drums.mid"),
    'library = "kit"       # FOLDER/NAME/*.wav; without it the kit that ships with Antiphon': (
        'wires = {"drums" = "out"}',
        "drums.mid",
    ),
    'instrument = "piano"': ('wires = {"keys" = "out"}', "melody.mid"),
}
"""For a patch's block, by a line that begins so: what a reader has around it, and what is played to it."""
OTHER = {
    'synthdef = "bell.scsyndef"': "plays by scsynth: plugins/antiphon/antiphon_supercollider/tests",
    'instrument = "grains"': "the same",
    "# pipeline.toml": "no patch: test_commands.py writes the file and reads it",
    "# watch.toml": "no patch: tests/pipeline/test_watch_command.py",
    '"Music/night.flac" = "wah"': "`library identify`: antiphon_library/tests/test_commands_identify.py",
    "# tones/tones.toml": "its model is exported by torch: tests/docs/test_plugins.py",
    'drive = "beat"': "it gives no sound: plugins/antiphon-companion/antiphon_follow/tests",
    "[nodes.verb]": "its plugin is another's: plugins/antiphon-more/antiphon_host/tests",
    "# wobble.toml": "its node is the tutorial's: tests/docs/test_plugins.py",
    "[clips.riff]": "a part of one: plugins/antiphon/antiphon_clip/tests reads such",
    "[lights]": "it gives no sound: plugins/antiphon-more/antiphon_lights/tests reads it",
    "meter = 4": "a style: plugins/antiphon-companion/antiphon_accompany/tests/test_band.py",
    "section = 8": "rules of loops: plugins/antiphon-sound/antiphon_loops/tests reads its keys",
    'type = "soundfont"': "needs a soundfont of the machine: plugins/antiphon/antiphon_soundfont/tests",
}
"""Blocks that are no patch, or play by what is not here, and what tests them."""
BLOCKS = [(page, "\n".join(block.lines)) for page in PAGES for block in blocks(page) if block.lang == "toml"]


def known(body: str, table: Iterable[str]) -> list[str]:
    return [start for start in table if any(line.startswith(start) for line in body.splitlines())]


def test_every_block_of_toml_is_known() -> None:
    assert [(page, body) for page, body in BLOCKS if len(known(body, [*AROUND, *OTHER])) != 1] == []
    bodies = "\n".join(body for _, body in BLOCKS)
    assert [start for start in [*AROUND, *OTHER] if not known(bodies, [start])] == []


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both tables in one, at any depth."""
    both = {key: merged(one[key], other[key]) for key in one.keys() & other.keys() if isinstance(one[key], dict)}
    return {**one, **other, **both}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is played to the patches."""
    folder = tmp_path_factory.mktemp("played")
    audio.write(folder / "voice.wav", audio.sung(220.0, 2.5))
    tune = tuple(MidiNote(float(n), 0.9, number) for n, number in enumerate((60, 64, 67, 72)))
    drums = tuple(MidiNote(float(n), 0.9, number, channel=10) for n, number in enumerate((36, 38, 40, 42)))
    write(folder / "melody.mid", [MidiTrack("tune", tune), MidiTrack("beat", drums)])
    write(folder / "drums.mid", [MidiTrack("beat", drums)])
    return folder


@pytest.mark.parametrize("start", AROUND)
def test_a_patch_of_the_pages_is_heard(start: str, played: Path, antiphon_home: Path, tmp_path: Path) -> None:
    (body,) = (body for _, body in BLOCKS if known(body, [start]))
    around, given = AROUND[start]
    whole = tomllib.loads(around)
    whole = merged({"format": 1, "name": "Block", **whole}, tomllib.loads(body))
    path = tmp_path / "block.toml"
    path.write_text(tomli_w.dumps(whole))
    shutil.copy(played / "melody.mid", tmp_path)
    for name in ("bd", "sd", "cp", "hh", "oh"):
        folder = antiphon_home / "data" / "library" / "kit" / name
        folder.mkdir(parents=True)
        for n in range(2):
            audio.write(folder / f"{n}.wav", audio.noise(4800, seed=n))
    how = ["--in", str(played / given)] if given else ["--seconds", "3"]
    if given == "drums.mid":
        how += ["--tail", "0"]
    antiphon("render", str(path), *how, "--out", str(tmp_path / "out.wav"))
    samples, _ = audio.read(tmp_path / "out.wav")
    assert audio.level(samples) > -60.0, f"{start}: the patch is silent"
