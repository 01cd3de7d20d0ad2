"""Continuation of a MIDI file by the bar model: its melody, and its tracks named CHORDS, BASS and DRUMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from antiphon.api import UsageError, Value
from antiphon.api.backends.files import open_midi, tick_notes
from antiphon_answer.bar_drums import drum_bar, with_fills
from antiphon_answer.bar_features import (
    BASS,
    CHORDS,
    DRUM_NUMBERS,
    DRUMS,
    MELODY,
    PARTS,
    BarEvent,
    drum_class,
    in_order,
)
from antiphon_answer.bar_model import installed_bars
from antiphon_answer.bar_writing import MIN_MEMORY_EVENTS, BarPlayer
from antiphon_answer.improviser import Improviser, Planned
from antiphon_answer.melody_file import MelodyFile, write

_CHORD_ROOT = 48
_LOUD = {CHORDS: 0.5, BASS: 0.75}
_DRUMS_LOUD = (0.8, 0.75, 0.55, 0.5, 0.65, 0.75, 0.55, 0.45)
"""Drum loudness by class, on a beat."""
_OFF_BEAT = (1.0, 0.8, 0.9, 0.8)
"""Loudness factors of bass and drums, by the sixteenth of the beat."""


def continuation_by_bars(
    improviser: Improviser, given: MelodyFile, settings: Mapping[str, Value]
) -> tuple[list[Planned], dict[int, list[Planned]]]:
    """Notes of `bars` bars from the next bar line on: the melody's, and those of other tracks by number.

    Of the improviser count wishes and corpus; the file's melody is learnt anew. Raises `ModelError` without the
    network.
    """
    model, key = installed_bars(), improviser.key
    improviser.clear()
    tracks = _tracks(given)
    events = [BarEvent(MELODY, note.slot, note.pitch, note.length, note.velocity) for note in given.notes]
    events += [event for part, track in tracks.items() for event in _events(part, given, track)]
    player = BarPlayer(model, improviser, alone=not tracks, enough=MIN_MEMORY_EVENTS)
    for event in in_order(events, given.bar):
        player.learn(event)
    if len(given.notes) < 2:
        return [], {}
    improviser.key = improviser.fixed if improviser.fixed >= 0 else key
    improviser.fixed = improviser.key
    start, bars, seed = given.next_bar, int(str(settings["bars"])), int(str(settings["seed"]))
    made = player.write(start, bars, seed)
    drums = with_fills((e for e in made if e.part == DRUMS), given.bar, start, start + bars * given.bar, seed)
    made = [*(e for e in made if e.part != DRUMS), *drums]
    up = int(str(settings["transpose"]))
    tune = [
        Planned(e.slot, e.length, min(127, max(0, e.code + up)), _velocity(given, e)) for e in made if e.part == MELODY
    ]
    beside = {
        track: [note for event in made if event.part == part for note in _notes(event)]
        for part, track in tracks.items()
    }
    return tune, beside


def part_by_bars(
    improviser: Improviser, given: MelodyFile, name: str, settings: Mapping[str, Value]
) -> dict[int, list[Planned]]:
    """Notes of a missing part, bass or drums, for a file with chords and an empty track.

    Raises ModelError: the network is not installed. Raises UsageError: there is no such track, it has notes, or there
    are no chords.
    """
    tracks, part = _tracks(given), PARTS.index(name)
    events = {other: _events(other, given, track) for other, track in tracks.items()}
    if events.get(part, [None]) or not events.get(CHORDS):
        raise UsageError(
            f"fill={name} needs a track {name.upper()} without notes, and one CHORDS; see antiphon run generate"
        )
    improviser.clear()
    improviser.key = improviser.fixed if improviser.fixed >= 0 else improviser.prior.key(given.sounds)
    improviser.fixed = improviser.key
    seed = int(str(settings["seed"]))
    slot, root = events[CHORDS][0].slot, events[CHORDS][0].code % 12
    begun = [BarEvent(BASS, slot, 28 + (root - 28) % 12)]
    if part == DRUMS:
        begun = [event for event in drum_bar(given.bar, slot - slot % given.bar, seed) if event.slot >= slot]
    others = [BarEvent(MELODY, note.slot, note.pitch, note.length, note.velocity) for note in given.notes]
    others += [event for found in events.values() for event in found]
    player = BarPlayer(installed_bars(), improviser, alone=False, enough=MIN_MEMORY_EVENTS)
    made = player.fill(begun, others, given.next_bar, seed)
    if part == DRUMS:
        made = with_fills(made, given.bar, slot - slot % given.bar, given.next_bar, seed)
    return {tracks[part]: [note for event in made for note in _notes(event)]}


def _tracks(given: MelodyFile) -> dict[int, int]:
    """Tracks by the part of their name."""
    return {
        PARTS.index(track.name.strip().lower()): n
        for n, track in enumerate(given.midi.tracks)
        if n != given.track and track.name.strip().lower() in ("chords", "bass", "drums")
    }


def write_parts(path: Path, given: MelodyFile, beside: Mapping[int, Sequence[Planned]]) -> float:
    """Writes the file with notes added to its tracks, by track number. Returns its length in seconds."""
    seconds, midi = 0.0, given.midi
    for track, notes in beside.items():
        channel = next((m.channel for m in midi.tracks[track] if m.type in ("note_on", "program_change")), 0)
        seconds = write(path, replace(given, midi=midi, track=track, channel=channel), notes)
        midi = open_midi(path)
    return seconds


def _velocity(given: MelodyFile, event: BarEvent) -> float:
    """Velocity of the last given note at the same place of the bar; else of the last."""
    same = [n.velocity for n in given.notes[-64:] if n.slot % given.bar == event.slot % given.bar]
    return same[-1] if same else given.notes[-1].velocity


def _events(part: int, given: MelodyFile, track: int) -> list[BarEvent]:
    ticks = given.midi.ticks_per_beat
    found: dict[tuple[int, int], list[tuple[int, float, float]]] = {}
    for _, on, off, pitch, loud, _ in tick_notes(given.midi.tracks[track]):
        slot = round(4 * (on / ticks - given.origin))
        number = drum_class(pitch)
        at = (slot, number if part == DRUMS else 0)
        found.setdefault(at, []).append((pitch, 4 * (off - on) / ticks, loud / 127.0))
    events: list[BarEvent] = []
    for (slot, number), played in sorted(found.items()):
        low, length, velocity = min(played)
        code = low
        if part == DRUMS:
            code = number
        if part == CHORDS:
            code = low % 12 + 12 * any((other - low) % 12 == 3 for other, _, _ in played)
        events.append(BarEvent(part, slot, code, max(0.25, length), velocity))
    return events


def _notes(event: BarEvent) -> list[Planned]:
    if event.part == DRUMS:
        pitches = [DRUM_NUMBERS[event.code][0]]
    elif event.part == CHORDS:
        root = _CHORD_ROOT + event.code % 12
        pitches = [root, root + (3 if event.code // 12 == 1 else 4), root + 7]
    else:
        pitches = [event.code]
    loud = _DRUMS_LOUD[event.code] if event.part == DRUMS else _LOUD[event.part]
    if event.part != CHORDS:
        loud *= _OFF_BEAT[event.slot % 4]
    return [Planned(event.slot, event.length, pitch, loud) for pitch in pitches]
