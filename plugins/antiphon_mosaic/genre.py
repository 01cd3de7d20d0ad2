"""Genre backing of `antiphon run third A OUT -p genre=GENRE`: A's melody and chords with a genre's band.

The melody is detected by `hum`, chords and beats by the analysis `music`, and `accompany` plays the genre's style under
both. A's vocal stays as sound if `stems` detects a voice; otherwise the melody is played. With a reference, the band is
made of its units and has its timbre.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, SHARP_NAMES, UsageError, Value
from antiphon.api.backends.analysis import listening_mono, plain_result
from antiphon.api.backends.files import AudioWriter, MidiNote, MidiTrack, read_midi, read_sound, write_midi
from antiphon.api.backends.rendering import TimedNote, load_plugins, render_notes, run_job
from antiphon.api.backends.signal import FLAT_NAMES

GENRES: dict[str, dict[str, Value]] = {
    "house": {"style": "house", "parts": "piano,bass,drums,pad"},
    "liquid": {"style": "funk", "parts": "piano,bass,drums,pad", "intensity": 0.9},
    "hip hop": {"style": "funk", "parts": "piano,bass,drums", "intensity": 0.2},
    "rock": {"style": "rock", "parts": "guitar,bass,drums"},
    "metal": {"style": "rock", "parts": "guitar,bass,drums", "intensity": 1.0, "density": 1.0},
    "reggae": {"style": "reggae", "parts": "guitar,bass,drums"},
    "jazz": {"style": "swing", "parts": "piano,bass,drums", "complexity": 0.8},
    "blues": {"style": "swing", "parts": "guitar,bass,drums"},
    "bossa nova": {"style": "bossa", "parts": "guitar,bass,drums"},
    "country": {"style": "pop", "parts": "guitar,bass,drums"},
    "classical": {"style": "chorale", "parts": "piano"},
    "ambient": {"style": "arpeggio", "parts": "pad", "intensity": 0.1},
}
"""Genres of `genre`, drum and bass by the name of its softer kind: the nearest settings of `accompany`."""
INSTRUMENTS = {"piano": "piano", "guitar": "pluck", "bass": "bass", "drums": "drums", "pad": "pad"}
LEVELS = {"piano": 0.5, "guitar": 0.4, "bass": 0.7, "drums": 0.8, "pad": 0.35}
VOICE, MELODY = 1.0, 0.6
"""Gains of A's voice relative to its own level, and of a played melody, against the band."""
SUNG = 0.3
"""Minimum level of A's voice relative to A's to stay as sound."""


def band(
    name: str, sound: F32, rate: int, genre: str, change: Callable[[F32], F32], progress: Callable[[float], None]
) -> tuple[F32, tuple[str, ...]]:
    """A's melody with a genre's band, `[1, n]` as long as `sound` `[channels, n]`, and a report.

    `change` gives the band another timbre. Raises `UsageError` without a beat, or without melody and chords.
    """
    found = analyse_song(sound, rate)
    tempo, downbeats = found.get("tempo"), found.get("downbeats") or found.get("beats")
    if not tempo or not downbeats:
        raise UsageError(f"no beat was found in {name}, which a band needs; leave genre out")
    progress(0.2)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with AudioWriter(work / "a.wav", rate, 1, "FLOAT") as writer:
            writer.write(listening_mono(sound)[None])
        begin, beat = first_bar(downbeats), 60.0 / float(tempo)
        chords = [(max(0.0, a - begin), b - begin, chord) for a, b, chord in found["chords"] if b > begin]
        heard = melody(work, float(tempo), begin)
        # without a melody, the chords are played alone, over their roots
        roots = [MidiNote(a / beat, (b - a) / beat, 72 + class_of(chord)) for a, b, chord in chords if chord != "N"]
        if not (tune := heard or roots):
            raise UsageError(f"neither melody nor chords were found in {name}, under which a band could play")
        notes = work / "melody.mid"
        write_midi(notes, [MidiTrack("melody", tuple(tune), 0)], float(tempo))
        progress(0.4)
        text = "\n".join(f"{a:.3f} {b:.3f} {chord}" for a, b, chord in chords)
        settings = GENRES[genre]
        run_job("accompany", notes, work / "band.mid", settings, {"chords": text} if text else {})
        frames, first = sound.shape[1], round(begin * rate)
        tracks = {track.name.strip().lower(): track for track in read_midi(work / "band.mid").tracks}
        played = np.zeros((1, frames), np.float32)
        for part in str(settings["parts"]).split(","):
            if part in tracks:
                played += LEVELS[part] * render_part(tracks[part], INSTRUMENTS[part], float(tempo), first, frames, rate)
        progress(0.6)
        played = change(played)
        lead, factor = find_voice(sound, work), VOICE
        if lead is None:
            track = MidiTrack("melody", tuple(heard), 0)
            lead, factor = render_part(track, "strings", float(tempo), first, frames, rate), MELODY
    level = float(np.sqrt(np.mean(np.square(sound)))) + 1e-9
    balance = level / (float(np.sqrt(np.mean(np.square(played)))) + 1e-9)
    own = 1.0 if factor == VOICE else level / (float(np.sqrt(np.mean(np.square(lead)))) + 1e-9)
    made = 0.7 * balance * played + factor * own * lead
    made *= min(1.0, 0.98 / max(1e-9, float(np.abs(made).max())))
    kept = "its voice and chords" if factor == VOICE else "its melody and chords" if heard else "its chords"
    return np.asarray(made, np.float32), (f"{genre}: {kept} at {tempo:.1f} bpm",)


def first_bar(downbeats: Sequence[float]) -> float:
    """Start in seconds of the song's first bar: at most 0, so that a pickup is included."""
    first = float(downbeats[0])
    length = float(np.median(np.diff(downbeats))) if len(downbeats) > 1 else first
    return first - math.ceil(max(0.0, first) / length) * length if length > 0.0 else first


def class_of(chord: str) -> int:
    """Pitch class of a chord's root, as of "F#:min"."""
    root = chord.split(":")[0]
    return (SHARP_NAMES if root in SHARP_NAMES else FLAT_NAMES).index(root)


def analyse_song(sound: F32, rate: int) -> dict[str, Any]:
    """Tempo, beats and chords by the analysis `music`."""
    import soxr

    factory: Any = load_plugins(check=False).factories["analyses"].get("music")
    if factory is None:
        raise UsageError("genre needs the analysis music, which is not here; antiphon plugins lists what is")
    analysis = factory()
    run = analysis.begin(analysis.rate, 1)
    mono = soxr.resample(listening_mono(sound), rate, analysis.rate)
    run.feed(np.ascontiguousarray(mono[None], np.float32))
    return plain_result("music", analysis, run.result())


def melody(work: Path, tempo: float, first: float) -> list[MidiNote]:
    """Melody of `work`/a.wav, in beats from second `first`, at most 0; empty without one."""
    run_job("hum", work / "a.wav", work / "sung.mid", {"lead": True, "bpm": tempo})
    song, beats = read_midi(work / "sung.mid"), first * tempo / 60.0
    every = [note for track in song.tracks for note in track.notes]
    moved = [replace(note, start=song.seconds(note.start) * tempo / 60.0 - beats) for note in every]
    return [replace(note, start=max(0.0, note.start)) for note in moved if note.start >= -0.1]


def render_part(track: MidiTrack, instrument: str, tempo: float, first: int, frames: int, rate: int) -> F32:
    """A part rendered by the synth, `[1, frames]`, its beat 0 at frame `first`, which may be negative."""
    beat = rate * 60.0 / tempo
    notes = [
        TimedNote(max(0, first + round(n.start * beat)), first + round(n.end * beat), n.number, n.velocity)
        for n in track.notes
        if first + n.start * beat < frames - 1 and round(first + n.end * beat) > 0
    ]
    out = np.zeros((1, frames), np.float32)
    at = 0
    for block in render_notes(notes, frames, rate, load_plugins(check=False), instrument, 1, 2048):
        out[:, at : at + block.shape[1]] = block
        at += block.shape[1]
    return out


def find_voice(sound: F32, work: Path) -> F32 | None:
    """A's voice by `stems`, of `work`/a.wav, `[1, n]`; None if there is hardly any."""
    run_job("stems", work / "a.wav", work / "voice.wav", {}, {"only": "voice"})
    voice = read_sound(work / "voice.wav").samples[:1, : sound.shape[1]]
    own, whole = (math.sqrt(float(np.mean(np.square(x)))) for x in (voice, listening_mono(sound)))
    return np.asarray(voice, np.float32) if own > SUNG * whole else None
