"""Gate signals of all voices, vectorised: level and reading speed, frame by frame.

Closed form in the frame number, so that notes begin and end at their sample, independent of the hop size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon_pyo.channels import Channels, Glides
from antiphon_pyo.voices import Voices

_CAP = 1 << 23
"""Frame at which a voice's time saturates; float32 is exact up to there."""


def moving(
    voices: Voices, channels: Channels, index: NDArray[np.int64], time: int, frames: int, presses: Glides | None = None
) -> NDArray[np.bool_]:
    """Mask of the voices `index` whose level changes within the chunk that begins at sample `time`."""
    since = time - voices.begin[index]
    changes = (since < voices.resume[index]) | (since + voices.age[index] < voices.attack[index])
    changes |= voices.decay[index] > 0.0
    changes |= (voices.off[index] < time + frames) | (voices.kill[index] < time + frames)
    if channels.gains.any_loose:
        changes |= channels.gains.loose[voices.channel[index]]
    if presses is not None and presses.any_loose:
        changes |= presses.loose[index]
    return changes


def level(
    voices: Voices,
    channels: Channels,
    index: NDArray[np.int64],
    time: int,
    ramp: Samples,
    presses: Glides | None = None,
) -> Samples:
    """float32 `[voices, frames]`: attack, release, fades, gain. `ramp`: 0, 1, 2, … of the chunk's frames.

    `presses`: pressure gain of each voice.

    The first frame of an attack is already above 0, the first of a release already below its start.
    """
    since = _frames(time - voices.begin[index])
    out: Samples = np.minimum((since + ramp + 1) / _column(voices.resume[index]), np.float32(1.0))
    np.maximum(out, 0.0, out=out)
    aged = _frames(time - voices.begin[index] + voices.age[index])
    out *= np.clip((aged + ramp + 1) / _column(voices.attack[index]), 0.0, 1.0)
    if (voices.decay[index] > 0.0).any():
        decay = _column(voices.decay[index])
        fallen = np.clip((aged + ramp + 1 - _column(voices.attack[index])) / np.maximum(decay, 1.0), 0.0, 1.0)
        out *= np.where(decay > 0.0, 1.0 - (1.0 - _column(voices.sustain[index])) * fallen, 1.0)
    note_off = voices.off[index] < time + len(ramp)
    if note_off.any():
        falling = 1 - (_frames(time - voices.off[index]) + ramp + 1) / _column(voices.release[index])
        np.clip(falling, 0.0, 1.0, out=falling)
        falling *= falling
        out *= falling * falling
    if (voices.kill[index] < time + len(ramp)).any():
        falling = 1 - (_frames(time - voices.kill[index]) + ramp + 1) / _column(voices.fade[index])
        np.clip(falling, 0.0, 1.0, out=falling)
        out *= falling * falling
    out *= _column(voices.gain[index])
    owners = voices.channel[index]
    gains = channels.gains
    if gains.any_loose:
        for row in np.flatnonzero(gains.loose[owners]).tolist():
            out[row] *= gains.curves[owners[row], : len(ramp)]
        owners = np.where(gains.loose[owners], -1, owners)
    if (gains.values != 1.0).any():
        out *= _column(np.where(owners < 0, 1.0, gains.values[owners]))
    if presses is not None:
        for row, voice in enumerate(index.tolist()):
            if presses.any_loose and presses.loose[voice]:
                out[row] *= presses.curves[voice, : len(ramp)]
            elif presses.values[voice] != 1.0:
                out[row] *= np.float32(presses.values[voice])
    return out


def _frames(count: NDArray[np.int64]) -> Samples:
    return np.clip(count, -_CAP, _CAP).astype(np.float32)[:, None]


def _column(x: NDArray[np.float64]) -> Samples:
    return x.astype(np.float32)[:, None]
