"""A MIDI file as one list of events in order of time, for the node `midifile`."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from antiphon.api import FileError
from antiphon.api.backends.files import MidiSong, MidiTimes, MidiTrack, printable_path, read_midi
from antiphon.api.backends.synths import ChannelBends

MAX_SECONDS = 6 * 3600.0
"""Maximum length of a file in seconds at its own tempo; as for `antiphon run` and `render`."""
FAMILIES = (
    "piano", "bells", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "lead", "pad",
    "effects", "ethnic", "percussive", "sounds",
)  # fmt: skip
"""The families of General MIDI, eight programs each (General MIDI System Level 1, MMA)."""
_ORDER = {"off": 0, "program": 1, "control": 1, "bend": 1, "on": 2}
"""Order of events at one time: note-offs before note-ons, and an instrument or a pedal before its note."""
EACH = 256
"""Number of controllers, bends and programs between stored states."""
_SHORTEST = 0.25
"""Minimum beats of a bar: a loop is never shorter, whatever the file says."""
_BAR = 4.0
"""Default beats of a bar."""


class SongEvent(NamedTuple):
    """An event of a MIDI file."""

    beat: float
    seconds: float
    kind: str  # as in `Event`
    number: int  # as in `Event`
    value: float  # as in `Event`
    channel: int  # 1 to 16
    part: int  # the part it belongs to, from 1; 0 for what belongs to none, as a controller of a track without notes
    family: int  # place of its instrument in `FAMILIES`, or -1 for drums


State = dict[tuple[object, ...], SongEvent]
"""The last event by controller and channel, or by kind and channel."""


@dataclass(frozen=True, slots=True)
class SongScore:
    """A MIDI file prepared for playback."""

    events: tuple[SongEvent, ...]
    parts: tuple[str, ...]
    times: MidiTimes  # beats to seconds, at its own tempo, and back
    length: float  # beats to the end of its last bar
    states: tuple[State, ...]  # where every so many of its controllers, bends and programs stand; see `state`
    changes: tuple[int, ...]  # places of these events among `events`
    drums: frozenset[int]  # channels of rhythm parts, 1 to 16

    def place(self, position: float, *, beats: bool) -> int:
        """Index of the first event at or after a position, in beats or in seconds of the file."""
        return bisect_left(self.events, position, key=_beat if beats else _seconds)

    def state(self, place: int) -> State:
        """Last program, bend and controller values before an event, replaying at most `EACH` changes."""
        count = bisect_left(self.changes, place)
        whole = count // EACH
        state = dict(self.states[whole])
        for change in self.changes[whole * EACH : count]:
            _put(state, self.events[change])
        return state


def _put(state: State, event: SongEvent) -> None:
    if event.kind == "control":
        ChannelBends.keep(state, event)
    else:
        state[event.kind, event.channel] = event


_beat, _seconds = attrgetter("beat"), attrgetter("seconds")


def load(path: Path) -> SongScore:
    """Reads a MIDI file. Raises FileError: it cannot be read, has no notes, or is too long."""
    song = read_midi(path)
    parts = _parts(song.tracks)
    if not parts:
        raise FileError(f"cannot play {printable_path(path)}: there are no notes in it")
    end = max(song.length, max(note.end for track in song.tracks for note in track.notes))
    length = _whole_bars(song.meters, end)
    times = MidiTimes(song.tempo)
    if times.seconds(length) > MAX_SECONDS:
        raise FileError(f"cannot play {printable_path(path)}: it lasts longer than {MAX_SECONDS / 3600:g} h; cut it")
    events = _events(song, parts, times)
    changes = tuple(place for place, event in enumerate(events) if event.kind not in ("on", "off"))
    states: list[State] = [{}]
    for first in range(0, len(changes), EACH):
        states.append(dict(states[-1]))
        for change in changes[first : first + EACH]:
            _put(states[-1], events[change])
    return SongScore(events, tuple(parts.values()), times, length, tuple(states), changes, song.drums)


def _parts(tracks: Sequence[MidiTrack]) -> dict[tuple[int, int], str]:
    """(track, channel) of each part, channel 0 for a whole track, in order, with its name."""
    sounding = [number for number, track in enumerate(tracks) if track.notes]
    if len(sounding) != 1:
        return {(number, 0): tracks[number].name for number in sounding}
    (number,) = sounding
    channels = sorted({note.channel for note in tracks[number].notes})
    if len(channels) == 1:
        return {(number, 0): tracks[number].name}
    return {(number, channel): f"channel {channel}" for channel in channels}


def _whole_bars(meters: Sequence[tuple[float, float]], end: float) -> float:
    """End of the bar in which a song ends, at least one bar after its beginning."""
    at, bar = max(((at, bar) for at, bar in meters if at < end and bar >= _SHORTEST), default=(0.0, _BAR))
    return at + max(1, math.ceil((end - at) / bar - 1e-9)) * bar


def _events(song: MidiSong, parts: dict[tuple[int, int], str], times: MidiTimes) -> tuple[SongEvent, ...]:
    places = {key: place for place, key in enumerate(parts, 1)}
    raw: list[tuple[float, int, str, int, float, int, int]] = []
    for number, track in enumerate(song.tracks):

        def part(channel: int, number: int = number) -> int:
            return places.get((number, 0), 0) or places.get((number, channel), 0)

        for note in track.notes:
            at = part(note.channel)
            raw.append((note.start, _ORDER["on"], "on", note.number, note.velocity, note.channel, at))
            raw.append((note.end, _ORDER["off"], "off", note.number, 0.0, note.channel, at))
        for control in track.controls:
            raw.append(
                (
                    control.at,
                    _ORDER[control.kind],
                    control.kind,
                    control.number,
                    control.value,
                    control.channel,
                    part(control.channel),
                )
            )
    raw.sort(key=lambda row: row[:2])
    programs = [0] * 17
    events = []
    for beat, _, kind, event_number, value, channel, at in raw:
        if kind == "program":
            programs[channel] = event_number
        family = -1 if channel in song.drums else programs[channel] // 8
        events.append(SongEvent(beat, times.seconds(beat), kind, event_number, value, channel, at, family))
    return tuple(events)
