"""What a command that was typed has made, and whether it is what the line promises: sound, notes, text."""

import json
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import mido
import soundfile

from antiphon.kernel.plugins import loader
from antiphon.testing import sound as audio

LEAST_LEVEL = -60.0
"""dBFS of a sound that is heard."""
TAIL = 10.1
"""Seconds that echoes go on, at most."""
PADDING = 0.12
"""Seconds that mp3 adds."""
SOUNDS, NOTES = (".wav", ".flac", ".ogg", ".mp3"), (".mid", ".midi")


def length_of(path: Path) -> float:
    """Seconds of a sound or MIDI file."""
    return mido.MidiFile(path).length if path.suffix in NOTES else soundfile.info(path).duration


def look(path: Path, silent: bool = False) -> None:
    """Fails where a file is not what its name says, or a sound silent."""
    if path.suffix in SOUNDS:
        samples, rate = audio.read(path)
        assert samples.shape[1] > 0, path
        assert rate == soundfile.info(path).samplerate
        assert silent or audio.level(samples) > LEAST_LEVEL, f"{path.name} is silent"
    elif path.suffix in NOTES:
        assert [one for one in mido.MidiFile(path) if one.type == "note_on" and one.velocity], f"{path.name}: no notes"
    elif path.suffix == ".json":
        assert json.loads(path.read_text()) not in ({}, [], None), path
    elif path.suffix == ".png":
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", path
    elif path.suffix == ".m3u":
        assert [line for line in path.read_text().splitlines() if not line.startswith("#")], path
    else:
        assert path.stat().st_size, path


def look_at_lengths(line: str, folder: Path) -> None:
    """Fails where OUT of `antiphon run` or `antiphon render` is not as long as promised."""
    words = shlex.split(line)[1:]
    values = dict(_options(words))
    settings = dict(one.split("=", 1) for one in _given(words, "-p"))
    if words[0] == "render" and "--out" in values:
        made = length_of(folder / values["--out"])
        if "--seconds" in values:
            assert made == float(values["--seconds"]), line
        elif "--in" in values:
            _between(line, made, length_of(folder / values["--in"]), TAIL)
        elif "--bars" in values:
            assert made > float(values["--bars"]), line  # a bar lasts at least a second
    elif words[0] == "run" and "--out-dir" not in values:
        info = loader.load(check=False).catalog[words[1]]
        names = list(takewhile(lambda word: not word.startswith("-"), words[2:]))
        made = length_of(folder / names[-1])
        source = folder / names[0]
        if "bars" in settings and "bpm" in settings:
            wanted = float(settings["bars"]) * 4 * 60 / float(settings["bpm"])
            assert abs(made - wanted) < 0.01, f"{line}: {made} s, not {wanted}"
        elif "tempo" in settings:
            pass  # as much longer as it is slower
        elif "seconds" in settings:
            assert made <= float(settings["seconds"]) + 1.0, line
        elif len(names) > 1 and source.is_file() and source.suffix in SOUNDS and (folder / names[-1]).suffix in SOUNDS:
            _between(line, made, length_of(source), TAIL if info.on_files.tail else 0.0)


def _between(line: str, made: float, source: float, tail: float) -> None:
    assert source - PADDING <= made <= source + tail + PADDING, f"{line}: {made:.3f} s of {source:.3f} s"


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(words[:-1]):
        if word.startswith("--") and not words[at + 1].startswith("-"):
            yield word, words[at + 1]


def _given(words: list[str], option: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words[:-1]) if word == option]
