"""Whose sound the songs have: soundfonts and computed instruments, in families that fit, choose and measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material import fluidsynth, timidity
from antiphon_models.material.composer.song import CHANNELS, ComposedSong
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings
from antiphon_models.material.midi_bytes import TICKS, control_change, midi_bytes

SOUNDS = Path("/usr/share/sounds")
FONTS = {
    "FluidR3": FLUID,
    "OPL3": SOUNDS / "sf2/OPL-3_FM_128M.sf2",
    "TimGM6mb": TIM,
    "csound": SOUNDS / "sf2/sf_GMbank.sf2",
}
"""Of Debian's packages fluid-soundfont-gm, opl3-soundfont, timgm6mb-soundfont and csound-soundfont."""
FREEPATS = "FreePats"
"""Of Debian's packages timidity and freepats."""
SPLITS = {"fit": ("FluidR3", FREEPATS), "choose": ("OPL3",), "measure": ("TimGM6mb", "csound")}
"""Sources by what they serve; besides, what fits has computed timbres. TimGM6mb and csound's bank are relatives (their
spectra differ by 2.2 dB in the mean, those of other pairs by 6 to 9), and both only measure: of FreePats' 128 patches
two, of a flute and an ocarina, have samples that they have too. MuseScore_General would bring nothing new: it descends
from FluidR3 (2.9 dB)."""
PAUSE = 2.5
"""Seconds between two songs of one MIDI file: releases and reverberation end there."""
_SOUND_OFF = 120


def missing(split: str) -> list[str]:
    """What a split needs and this machine has not, by name or path."""
    fonts = [FONTS[source] for source in SPLITS[split] if source in FONTS]
    return fluidsynth.missing(fonts) + (timidity.missing() if FREEPATS in SPLITS[split] else [])


def render_songs(songs: Sequence[ComposedSong], source: str, rate: int, seed: int = 0) -> Iterator[NDArray[np.float32]]:
    """The sound of songs by one source, one after the other: mono float32 `[frames]` each.

    A soundfont plays all of them as one MIDI file: reading it takes longer than playing a song.
    """
    if source == FREEPATS:
        known = timidity.programs()
        songs = [_with_programs(song, known) for song in songs]
    score, starts = medley(songs)
    whole = render_midi(score, source, rate, reverb=bool(seed % 2))
    for song, start in zip(songs, starts, strict=True):
        last = start + max(note.end for note in song.notes) + 0.5
        yield np.asarray(whole[round(start * rate) : round(last * rate)])


def render_midi(score: bytes, source: str, rate: int, *, reverb: bool = False) -> NDArray[np.float32]:
    """The sound of a MIDI file by a soundfont or FreePats, which has no reverberation: mono float32 `[frames]`."""
    if source == FREEPATS:
        return np.asarray(timidity.play(score, rate, "--preserve-silence").mean(axis=1))
    return np.asarray(fluidsynth.play(score, FONTS[source], rate, FluidSettings(0.5, reverb=reverb)).mean(axis=1))


def medley(songs: Sequence[ComposedSong]) -> tuple[bytes, list[float]]:
    """One MIDI file of songs one after the other, and the seconds at which each begins."""
    events: list[tuple[int, bytes]] = []
    starts, start = [], 0
    for song in songs:
        events += [(start, control_change(channel, _SOUND_OFF, 0)) for channel in CHANNELS.values()]
        events += [(start + tick, message) for tick, message in song.events()]
        starts.append(start / TICKS)
        start += round((max(note.end for note in song.notes) + PAUSE) * TICKS)
    return midi_bytes(events), starts


def _with_programs(song: ComposedSong, known: frozenset[int]) -> ComposedSong:
    """The song with the nearest program of those that are there, of the same family of eight where it has one."""
    instruments = tuple((part, nearest(program, known)) for part, program in song.attributes.instruments)
    return replace(song, attributes=replace(song.attributes, instruments=instruments))


def nearest(program: int, known: frozenset[int]) -> int:
    """Nearest of the known programs, of the same family of eight where it has one."""
    return min(known, key=lambda other: (other // 8 != program // 8, abs(other - program), other))
