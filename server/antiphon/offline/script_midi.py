"""Notes of a live script as a MIDI file: a track for each of its tracks and loops, exact to the tick."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from antiphon.files import midifile
from antiphon.files.midi_song import MidiNote, MidiTrack
from antiphon.kernel.session.play import without_bank
from antiphon.live.records import LiveEvent

TICKS = 960
"""Ticks of a beat: triplets and sixty-fourths are whole numbers."""
_DRUMS = {
    "bd": 36, "kick": 36, "rs": 37, "sd": 38, "sn": 38, "snare": 38, "cp": 39, "hh": 42, "ch": 42, "oh": 46, "lt": 43,
    "mt": 47, "ht": 50, "cr": 49, "rd": 51, "cb": 56, "tb": 54, "sh": 70,
}  # fmt: skip
"""General MIDI drums by sound folder names."""
_DRUM_CHANNEL = 10
_CHANNELS = tuple(channel for channel in range(1, 17) if channel != _DRUM_CHANNEL)
_DEFAULT_LENGTH = 0.25
"""Length in beats of a sound without one."""
_STEP = Fraction(1, 4)
"""Step in beats of tempo changes that approximate a ramp."""


def write(path: Path, events: Sequence[LiveEvent], beats: Fraction, tempo: float) -> tuple[int, list[str]]:
    """Writes notes and tempo; returns the number of notes, and the names of sounds without a MIDI note."""
    tracks, missing = tracks_of(events, beats)
    midifile.write(path, tracks, tempo_of(events, tempo), TICKS)
    return sum(len(track.notes) for track in tracks), missing


def tracks_of(events: Sequence[LiveEvent], beats: Fraction) -> tuple[list[MidiTrack], list[str]]:
    """Notes of each track and loop, and names of sounds without a MIDI note. Unended notes end at `beats`."""
    notes: dict[str, list[MidiNote]] = {}
    sounding: dict[tuple[object, ...], tuple[LiveEvent, int, float]] = {}
    channels: dict[str, int] = {}
    missing: list[str] = []

    def keep(source: str, note: MidiNote) -> None:
        notes.setdefault(source, []).append(note)

    def end(key: tuple[object, ...], at: Fraction) -> None:
        event, number, velocity = sounding.pop(key)
        length = max(float(at - event.beat), 1.0 / TICKS)
        keep(event.source, MidiNote(float(event.beat), length, number, velocity, channels[event.source]))

    for event in events:
        if event.address in ("/note/on", "/note/off"):
            number, velocity, *rest = event.args
            key: tuple[object, ...] = (number, *rest)
            if key in sounding:
                end(key, event.beat)
            if event.address == "/note/on":
                _channel(channels, event.source)
                sounding[key] = event, int(number), float(velocity) / 127.0
        elif event.address.endswith("/play"):
            values = dict(zip(event.args[::2], event.args[1::2], strict=True))
            sound = str(values.get("s"))
            number = int(values.get("note", _DRUMS.get(sound, _DRUMS.get(without_bank(sound), -1))))
            if number < 0:
                name = str(values.get("s", "?"))
                missing += [] if name in missing else [name]
                continue
            velocity = float(values.get("velocity", 100.0)) / 127.0
            channel = _channel(channels, event.source) if "note" in values else _DRUM_CHANNEL
            own = event.mark.length if "note" in values and event.mark else _DEFAULT_LENGTH
            length = float(values.get("lasts", own))
            keep(event.source, MidiNote(float(event.beat), length, number, velocity, channel))
    for left in list(sounding):
        end(left, max(beats, sounding[left][0].beat))
    tracks = [
        MidiTrack(source, tuple(sorted(held, key=lambda n: (n.start, n.number)))) for source, held in notes.items()
    ]
    return tracks, missing


def _channel(channels: dict[str, int], source: str) -> int:
    """Channel of a track's notes; beyond fifteen they are reused."""
    return channels.setdefault(source, _CHANNELS[len(channels) % len(_CHANNELS)])


def tempo_of(events: Sequence[LiveEvent], tempo: float) -> list[tuple[float, float]]:
    """(beat, bpm) of each change, `tempo` before the script sets one; a ramp, which MIDI lacks, as steps."""
    changes: dict[Fraction, float] = {Fraction(0): tempo}
    for event in events:
        if event.address != "/tempo":
            continue
        bpm, over = float(event.args[0]), Fraction(float(event.args[1])) if len(event.args) > 1 else Fraction(0)
        before = changes[max(at for at in changes if at <= event.beat)]
        changes = {at: value for at, value in changes.items() if at < event.beat}
        if not over:
            changes[event.beat] = bpm
            continue
        steps = max(1, min(4096, int(over / _STEP)))
        for step in range(steps):  # each with the tempo of its middle, so that the ramp lasts as long as the engine's
            changes[event.beat + over * step / steps] = before + (bpm - before) * (step + 0.5) / steps
        changes[event.beat + over] = bpm
    return [(float(at), bpm) for at, bpm in sorted(changes.items())]
