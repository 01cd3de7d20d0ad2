"""The rehearsal and analysis process.

It keeps plugins, machine code and the sounds of patches loaded. A script runs in a fork with limits of time and memory,
so that its side effects end with the fork. Requests are `{"do": "warm", "patch"}`, `{"do": "rehearse", …}` and `{"do":
"hear", "path"}`, and the answers `{"verdict", "picture"}`, `{"heard", "picture"}` or `{"fault"}`.
"""

import base64
import contextlib
import json
import re
import signal
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import AntiphonError, Samples
from antiphon.api.backends.analysis import (
    ONSET_RISE,
    LoudnessMeter,
    analyse_file,
    level_rises,
    listening_mono,
    piece_frames,
)
from antiphon.api.backends.files import read_midi, read_sound, temporary_folder
from antiphon.api.backends.rendering import Loaded, transcribe
from antiphon.api.backends.runtime import ForkedEnd, HelperChannel, run_forked
from antiphon.files.sound_picture import levels_picture, piano_roll, spectrogram
from antiphon.offline.rehearsing import (
    RATE as REHEARSED_RATE,
    perform_change,
    preload as warm_patch,
    prepared as prepared_to_rehearse,
    rehearse_change,
)

# ---- Sound as figures: levels of bands, onsets

BANDS = {
    "sub": (20, 60),
    "bass": (60, 250),
    "low mid": (250, 500),
    "mid": (500, 2000),
    "high mid": (2000, 4000),
    "presence": (4000, 8000),
    "air": (8000, 20000),
}
"""Bands in Hz by name."""
QUIETEST = -120.0
MAX_ONSETS = 256


def bands(sound: Samples, rate: int) -> dict[str, float]:
    """Level of each band, dBFS (RMS)."""
    mono = _mono(sound)
    if not len(mono):
        return dict.fromkeys(BANDS, QUIETEST)
    power = np.abs(np.fft.rfft(mono)) ** 2 * 2.0 / len(mono) ** 2
    hertz = np.fft.rfftfreq(len(mono), 1.0 / rate)
    found = {}
    for name, (low, high) in BANDS.items():
        inside = float(power[(hertz >= low) & (hertz < high)].sum())
        found[name] = round(max(QUIETEST, 10.0 * float(np.log10(max(inside, 1e-12)))), 1)
    return found


def onsets(sound: Samples, rate: int) -> list[float]:
    """Onset times in seconds."""
    piece = piece_frames(rate)
    mono = _mono(sound)[: len(sound[0]) // piece * piece]
    if len(mono) < 2 * piece:
        return []
    rises = level_rises(mono, rate, (1, 2), circular=False)
    peaks = (rises > ONSET_RISE) & (rises >= np.roll(rises, 1)) & (rises > np.roll(rises, -1))
    return [round(float(at * piece / rate), 3) for at in np.flatnonzero(peaks)[:MAX_ONSETS]]


def _mono(sound: Samples) -> NDArray[np.float64]:
    return listening_mono(sound).astype(np.float64)


SECONDS = 90.0
"""Time limit of a piece of work in seconds."""
MAX_BYTES = 64 << 20
"""Maximum bytes of an answer."""
TIMEOUT_SECONDS = 2.0
"""Maximum CPU seconds for reading a script, and for each beat of it."""
MAX_NOTES = 512
FAINT = 1e-4
"""Peak below which an input counts as silence."""
MIN_BAND_CHANGE = 12.0
"""Minimum level change of a band in dB that is reported."""


def main(channel: HelperChannel) -> None:
    """Answers requests until its parent ends."""
    loaded = prepared_to_rehearse()
    warmed = set[str]()
    for asked in channel.requests():
        patch = str(asked.get("patch", ""))
        if patch and patch not in warmed:
            with contextlib.suppress(AntiphonError):  # the rehearsal says what is wrong with it
                warm_patch(patch, loaded)
            warmed.add(patch)
        match asked["do"]:
            case "rehearse":
                channel.send(_rehearse(asked, loaded))
            case "hear":
                channel.send(_run_in_forked_copy(partial(_hear, asked)))
            case _:
                channel.send({"warm": sorted(warmed)})


def _run_in_forked_copy(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    end = run_forked(work, SECONDS, MAX_BYTES)
    return {"fault": _reason(end)} if end.answer is None else end.answer


def _reason(end: ForkedEnd) -> str:
    if end.late:
        return f"it takes over {end.late:g} s"
    if end.status == -signal.SIGVTALRM:
        return f"it runs without end, over {2 * TIMEOUT_SECONDS:g} s in one call"
    return f"it ends its process{f' by {end.how}' if end.status < 0 else ''}; a script plays to its end"


def _rehearse(asked: dict[str, Any], loaded: Loaded) -> dict[str, Any]:
    """Runs the script in a fork, and renders its events here, with everything loaded."""
    played = _run_in_forked_copy(partial(perform_change, asked["trial"]))
    if "fault" in played:
        return played
    try:
        done = rehearse_change(asked["trial"], played, loaded, _input(asked.get("input", "")))
    except AntiphonError as error:
        return {"fault": re.sub(r"^the change line \d+: ", "", str(error))}
    verdict = asdict(done.verdict)
    remarks = [*verdict.pop("remarks"), *_describe_band_changes(done.before, done.sound, done.rate)]
    figures = {name: _round_floats(value) for name, value in verdict.items()}
    figures |= {"sets": _addresses_to_restore(played)}
    figures |= {"ok": done.verdict.ok, "remarks": remarks, "bands": bands(done.sound, done.rate)}
    return {"verdict": figures, "picture": _text(levels_picture(spectrogram(done.sound, done.rate)))}


def _input(path: str) -> Samples:
    """Most recent input sound; empty if it has another rate or is silent."""
    if not path or (sound := read_sound(Path(path))).rate != REHEARSED_RATE:
        return np.zeros((2, 0), np.float32)
    heard = np.resize(sound.samples, (2, sound.samples.shape[1])) if len(sound.samples) != 2 else sound.samples
    return heard if abs(heard).max(initial=0.0) > FAINT else heard[:, :0]


def _notes(path: Path, seconds: float) -> list[list[float]]:
    """Start in seconds, length, number and velocity of the notes that `hum` finds."""
    with temporary_folder() as folder:
        try:
            song = read_midi(transcribe(path, folder / "notes.mid", {}))
        except AntiphonError:  # there is none
            return []
    found = [
        [song.seconds(one.start), song.seconds(one.end) - song.seconds(one.start), one.number, one.velocity]
        for track in song.tracks
        for one in track.notes
    ]
    return sorted(_round_floats(one) for one in found if one[0] < seconds)[:MAX_NOTES]


def _addresses_to_restore(played: dict[str, Any]) -> list[str]:
    """Addresses that the change sets but no current track or loop does, apart from notes; its undo restores them."""
    lead = Fraction(played["lead"])
    found = {address for beat, address, *_ in played["events"] if Fraction(beat) >= lead}
    found -= set(played["usual"])
    return sorted(one for one in found if not one.startswith("/note/") and not one.endswith("/play"))


def _describe_band_changes(before: Samples, after: Samples, rate: int) -> list[str]:
    if not before.shape[1]:
        return []
    was, now = bands(before, rate), bands(after, rate)
    loud = max(was.values()) - 40.0
    found = [(name, now[name] - was[name]) for name in was if max(was[name], now[name]) > loud]
    return [f"its {name} is {by:+.0f} dB to what plays" for name, by in found if abs(by) > MIN_BAND_CHANGE]


def _hear(asked: dict[str, Any]) -> dict[str, Any]:
    path = Path(asked["path"])
    sound = read_sound(path)
    meter = LoudnessMeter(sound.rate, len(sound.samples))
    meter.feed(sound.samples)
    _, music, lacking = analyse_file(bytes(path), ("music",))["music"]
    found = {} if music is None else music
    seconds = sound.samples.shape[1] / sound.rate
    notes = _notes(path, seconds)
    heard = {
        "seconds": round(seconds, 3),
        "loudness": _round_floats(meter.integrated_loudness()),
        "peak": _round_floats(float(abs(sound.samples).max(initial=0.0))),
        "bands": bands(sound.samples, sound.rate),
        "onsets": onsets(sound.samples, sound.rate),
        "key": found.get("key"),
        "chords": [list(span) for span in found.get("chords") or ()],
        "tempo": found.get("tempo"),
        "notes": notes,
        "music": lacking,
    }
    drawn = [spectrogram(sound.samples, sound.rate), *([piano_roll(notes, seconds)] if notes else [])]
    return {
        "heard": json.loads(json.dumps(heard, default=str)),
        "picture": _text(levels_picture(*drawn)),
    }


def _round_floats(value: Any) -> Any:
    match value:
        case float():
            return round(value, 3)
        case tuple() | list():
            return [_round_floats(one) for one in value]
    return value


def _text(picture: bytes) -> str:
    return base64.b64encode(picture).decode("ascii")
