"""Whose sound the songs have: soundfonts and computed instruments, in families that fit, choose and measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material import fluidsynth
from antiphon_models.material.composer.computed import sound_of_song
from antiphon_models.material.composer.song import ComposedSong
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings

SOUNDS = Path("/usr/share/sounds")
FONTS = {
    "FluidR3": FLUID,
    "OPL3": SOUNDS / "sf2/OPL-3_FM_128M.sf2",
    "TimGM6mb": TIM,
    "csound": SOUNDS / "sf2/sf_GMbank.sf2",
}
"""Of Debian's packages fluid-soundfont-gm, opl3-soundfont, timgm6mb-soundfont and csound-soundfont."""
COMPUTED = "computed"
SPLITS = {"fit": ("FluidR3", COMPUTED), "choose": ("OPL3", COMPUTED), "measure": ("TimGM6mb", "csound")}
"""Sources by what they serve. The timbres of computed instruments are drawn anew for each song. TimGM6mb and csound's
bank are relatives (their spectra differ by 2.2 dB in the mean, those of other pairs by 6 to 9), and both only measure.
MuseScore_General would bring nothing new: it descends from FluidR3 (2.9 dB)."""


def missing(split: str) -> list[str]:
    """What a split needs and this machine has not, by name or path."""
    fonts = [FONTS[source] for source in SPLITS[split] if source != COMPUTED]
    return fluidsynth.missing(fonts)


def rendered(song: ComposedSong, source: str, rate: int, seed: int) -> NDArray[np.float32]:
    """The sound of a song by one source: mono float32 `[frames]`."""
    if source == COMPUTED:
        return sound_of_song(song, rate, seed)
    sound = fluidsynth.play(song.midi(), FONTS[source], rate, FluidSettings(0.5, reverb=bool(seed % 2)))
    return np.asarray(sound.mean(axis=1))
