"""Scenes and their tags: a piece of music, speech or a sound around us, alone or over music, and what is done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon_models.classify.tags import effects
from antiphon_models.classify.tags.effects import RATE
from antiphon_models.classify.tags.labels import LABELS, MUSICAL, SOUNDS
from antiphon_models.classify.tags.pieces import SECONDS, ArrangedClip
from antiphon_models.material import espeak
from antiphon_models.material.sounds import mono, resampled

FRAMES = round(SECONDS * RATE)
KINDS = {
    "music": 0.56,
    "speech": 0.09,
    "speech over music": 0.08,
    "sound": 0.15,
    "sound over music": 0.08,
    "noise": 0.04,
}
"""Shares of the scenes."""
_UNDER = 3.0
"""dB by which something is over music at most, for the music's tags to be stated still."""
_CHANCE = {"distorted": 0.14, "reverberant": 0.28, "lo-fi": 0.14, "noise": 0.16}
"""Of what is done to a scene."""
_WORDS = (
    "morning", "river", "window", "garden", "letter", "market", "silver", "thunder", "paper", "harbour", "seven",
    "quiet", "often", "never", "under", "above", "walking", "bring", "answer", "question", "yellow", "because",
    "without", "between", "evening", "people", "station", "bread", "winter", "open", "again",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SceneSources:
    """Sources of the scenes of one split.

    `voices`: voices of espeak-ng, each with whether it is female; `clips`: files of ESC-10, each with its class.
    """

    voices: Sequence[tuple[str, bool]]
    clips: Sequence[tuple[Path, str]]


def drawn_kind(rng: np.random.Generator) -> str:
    """A kind of scene, by chance."""
    total = sum(KINDS.values())
    return str(rng.choice(list(KINDS), p=[share / total for share in KINDS.values()]))


def scene(
    kind: str, music: F32 | None, piece: ArrangedClip | None, sources: SceneSources, rng: np.random.Generator
) -> tuple[F32, NDArray[np.float32]]:
    """A scene `[FRAMES]` of one of `KINDS`, and of each of `LABELS` whether it holds, NaN where nothing states it.

    `music` `[FRAMES]` plays `piece`, where the kind has music.
    """
    tags: dict[str, float] = dict.fromkeys(LABELS, 0.0)
    if music is None:
        sound = None
        tags |= {"solo": np.nan, "fast": np.nan, "slow": np.nan}
    else:
        assert piece is not None
        sound = effects.normalise(music)
        tags |= piece.tags
    if kind.startswith("speech"):
        voice, female = sources.voices[int(rng.integers(len(sources.voices)))]
        tags |= {"speech": 1.0, "female voice": float(female), "male voice": float(not female)}
        sound = _over(_speech(voice, rng), sound, tags, rng)
    elif kind.startswith("sound"):
        path, name = sources.clips[int(rng.integers(len(sources.clips)))]
        tags |= {tag: 1.0 for tag, classes in SOUNDS.items() if name in classes}
        # rain, waves and saws are noise of a kind
        tags["noise"] = np.nan
        sound = _over(_recording(path, rng), sound, tags, rng)
    elif kind == "noise":
        sound = effects.noise(FRAMES, rng)
        tags["noise"] = 1.0
    assert sound is not None
    return _treated(sound, tags, rng), np.array([tags[label] for label in LABELS], np.float32)


def _treated(sound: F32, tags: dict[str, float], rng: np.random.Generator) -> F32:
    """One after the other as sound goes: the instrument's amplifier, the room, noise, the line."""
    drawn = {name for name, chance in _CHANCE.items() if rng.random() < chance}
    if tags["noise"] == 1.0:
        return sound
    if "distorted" in drawn and not np.isnan(tags["noise"]):
        sound, tags["distorted"] = effects.distort(sound, rng), 1.0
    if np.isnan(tags["noise"]):
        # how far a recording is from its microphone is not known
        tags["reverberant"] = np.nan
    elif "reverberant" in drawn:
        sound, tags["reverberant"] = effects.reverberant(sound, rng), 1.0
    if "noise" in drawn:
        sound, tags["noise"] = effects.noisy(sound, rng), 1.0
    if "lo-fi" in drawn:
        sound, tags["lo-fi"] = effects.narrow(sound, rng), 1.0
    return sound


def _over(sound: F32, music: F32 | None, tags: dict[str, float], rng: np.random.Generator) -> F32:
    if music is None:
        return effects.normalise(sound)
    above = rng.uniform(-4.0, 10.0)
    if above > _UNDER:
        tags |= dict.fromkeys(MUSICAL, np.nan)
    return effects.normalise(music + np.float32(10.0 ** (above / 20.0)) * effects.normalise(sound))


def _speech(voice: str, rng: np.random.Generator) -> F32:
    parts: list[F32] = []
    while sum(map(len, parts)) < FRAMES:
        text = " ".join(rng.choice(_WORDS, 24))
        spoken, rate = espeak.speech(text, voice, int(rng.integers(130, 210)), int(rng.integers(30, 70)))
        parts.append(resampled(spoken, rate, RATE))
    return np.concatenate(parts)[:FRAMES]


def _recording(path: Path, rng: np.random.Generator) -> F32:
    sound = mono(path, RATE)
    audible = np.flatnonzero(np.abs(sound) > 1e-3)
    if len(audible):  # ESC-10's clips are filled up with silence
        sound = sound[: audible[-1] + 1]
    turned = np.roll(sound, int(rng.integers(len(sound))))
    return np.resize(turned, FRAMES)
