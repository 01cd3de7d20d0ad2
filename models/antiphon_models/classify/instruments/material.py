"""The clips that `instruments` is trained on, made once: families alone, mixes, and what thresholds are chosen on.

Split by program and seed: what is chosen on has the programs that no network is trained on, where a family has some,
and other voices. The test (`evaluation`) has a soundfont of its own besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F32, UsageError
from antiphon_models.classify import clips
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.instruments.families import LABELS, targets
from antiphon_models.classify.instruments.mixing import NONE, draw_families, mix_families
from antiphon_models.classify.instruments.recording import RATE, equalise, simulate_recording
from antiphon_models.classify.instruments.sounds import (
    TRAIN_VOICES,
    TRAINED_PLAYERS,
    VALID_VOICES,
    TakePlayer,
    drums_of_recordings,
    play_takes,
    programs,
    voice,
)
from antiphon_models.classify.instruments.takes import SECONDS
from antiphon_models.learning.recipe import TrainingJob
from antiphon_models.material.sounds import mono, of_length

Rng = np.random.Generator
Clip = tuple[F32, object, int]
TAKES: Mapping[str, int] = {"FluidR3": 40, "MuseScore General": 20, "OPL3": 20, "FreePats": 40}
"""Of each family by each player, trained on."""
FURTHER: Mapping[str, int] = {"FluidR3": 40, "MuseScore General": 20, "OPL3": 20, "FreePats": 40}
"""More such takes, in a file of their own: a network learns 120 of a family by heart."""
VOICES, DISTORTED, RECORDED_DRUMS = 180, 60, 50
"""Further sounds: of voices, of clean guitars driven hard, of drums of recorded hits."""
MIXES, CHOSEN_SOLOS, CHOSEN_MIXES = 900, 20, 400
"""Mixes trained on; sounds of each family and mixes that thresholds are chosen on."""
PACKAGES = (
    "espeak-ng fluidsynth fluid-soundfont-gm timgm6mb-soundfont musescore-general-soundfont-small opl3-soundfont "
    "timidity freepats"
)
"""Debian's, of all that plays the material."""


@dataclass(frozen=True, slots=True)
class FamilySound:
    """Five seconds of one family.

    `family`: its label, or `NONE`. `sound`: float32 `[frames]` at `RATE`. `group`: what shares a player and program has
    one number.
    """

    family: str
    sound: F32
    group: int


def training_sounds(data: Path, rng: Rng) -> list[FamilySound]:
    """What is trained on, as it is played: by all trained players, voices, guitars driven hard, recorded drums."""
    found: list[FamilySound] = []
    for number, player in enumerate(TRAINED_PLAYERS):
        found += sounds_of(player, TAKES[player.name], "trained", 1000 * number, rng)
    found += [FamilySound("voice", voice(TRAIN_VOICES, rng), 9000) for _ in range(VOICES)]
    guitars = [one for one in found if one.family == "guitar"]
    found += [
        FamilySound("distorted guitar", driven(guitars[rng.integers(len(guitars))].sound, rng), 9001)
        for _ in range(DISTORTED)
    ]
    for groove in drums_of_recordings(data / "sonicpi", lambda number: number % 4 != 0):
        found += [FamilySound("drums", groove(rng), 9002) for _ in range(RECORDED_DRUMS)]
    found += [FamilySound(NONE, sound, 9003) for sound in surroundings(data / "esc10", "12")]
    return found


def further_takes(rng: Rng) -> list[FamilySound]:
    """More takes of all trained players; of their voices none but choirs, which take the least time."""
    return [
        sound
        for number, player in enumerate(TRAINED_PLAYERS)
        for sound in sounds_of(player, FURTHER[player.name], "trained", 1000 * number, rng)
    ]


def sounds_of(player: TakePlayer, count: int, which: str, group: int, rng: Rng) -> list[FamilySound]:
    """So many takes of each family by a player, its programs in turn; fewer where some are silent.

    `which`: "trained" or "held" programs; of a family without held ones the trained.
    """
    wanted: list[tuple[str, int | None]] = []
    for family in LABELS:
        chosen = programs(player, family, which) or programs(player, family, "trained")
        wanted += [(family, chosen[n % len(chosen)]) for n in range(count) if chosen]
    return [FamilySound(family, sound, group + program) for family, program, sound in play_takes(player, wanted, rng)]


def driven(sound: F32, rng: Rng) -> F32:
    """A guitar through an amplifier driven hard, and its loudspeaker, which passes up to some 5 kHz."""
    drive = 10.0 ** rng.uniform(1.0, 2.2)
    hard = np.tanh(drive * sound / (np.abs(sound).max() + 1e-9))
    hertz = np.fft.rfftfreq(len(sound), 1.0 / RATE)
    gain = 1.0 / np.sqrt(1.0 + (hertz / rng.uniform(2500.0, 5500.0)) ** 6) * np.minimum(1.0, hertz / 90.0)
    return np.asarray(np.fft.irfft(np.fft.rfft(hard) * gain, len(sound)), np.float32)


def surroundings(folder: Path, folds: str) -> Iterator[F32]:
    """Noises of ESC-10's folds, but for a baby's voice; five seconds each."""
    length = round(SECONDS * RATE)
    for path in sorted(folder.glob("*/*.ogg")):
        if path.name[0] in folds and path.parent.name != "baby_cry":
            sound = of_length(mono(path, RATE), length)
            if np.abs(sound).max() > 1e-3:
                yield sound


def mix_clips(sounds: Sequence[FamilySound], count: int, rng: Rng) -> Iterator[Clip]:
    """Recorded mixes of two to five families, a third of them duos."""
    by: dict[str, list[FamilySound]] = {}
    for one in sounds:
        by.setdefault(one.family, []).append(one)
    for _ in range(count):
        size = int(rng.choice([2, 3, 4, 5], p=[0.34, 0.26, 0.22, 0.18]))
        parts = []
        for label in draw_families(size, rng):
            sound = by[label][rng.integers(len(by[label]))].sound
            parts.append((label, equalise(sound, rng) if rng.random() < 0.5 else sound))
        mix, present = mix_families(parts, rng)
        yield spectrogram(simulate_recording(mix, rng)), np.array(targets(present), np.float32), size


def solo_clips(sounds: Sequence[FamilySound], rng: Rng, strength: float = 1.0) -> Iterator[Clip]:
    """Each sound as it may be recorded; strength: as `recorded` has it."""
    for one in sounds:
        truth = np.array(targets([one.family]), np.float32)
        yield spectrogram(simulate_recording(one.sound, rng, strength)), truth, one.group


def require(absent: Sequence[str]) -> None:
    """Raises `UsageError` where a program or soundfont is absent: with the packages that bring them all."""
    if absent:
        raise UsageError(f"instruments needs {', '.join(dict.fromkeys(absent))}; sudo apt-get install {PACKAGES}")


def make(job: TrainingJob) -> tuple[tuple[Path, ...], tuple[Path, ...], tuple[Path, ...]]:
    """Generates the missing files in `job.material`: families alone; mixes; what thresholds are chosen on."""
    names = ("solos", "further", "mixes", "choose", "choose-fresh")
    solos, further, mixes, held, fresh = (job.material / f"{name}.npz" for name in names)
    if not all(path.exists() for path in (solos, further, mixes, held, fresh)):
        require([name for player in TRAINED_PLAYERS for name in player.missing()])
    if not (solos.exists() and mixes.exists()):
        rng = np.random.default_rng([job.seed, 1])
        sounds = training_sounds(job.data, rng)
        job.say(f"{len(sounds)} sounds of {len(LABELS)} families")
        # batches add rooms, equalisers and noise of their own
        clips.write(solos, solo_clips(sounds, rng, 0.5))
        job.say("each as it may be recorded")
        clips.write(mixes, mix_clips(sounds, MIXES, rng))
    if not further.exists():
        rng = np.random.default_rng([job.seed, 5])
        takes = further_takes(rng)
        job.say(f"{len(takes)} further takes")
        clips.write(further, solo_clips(takes, rng, 0.5))
    for path, which, number in ((held, "held", 2), (fresh, "trained", 6)):
        if not path.exists():
            rng = np.random.default_rng([job.seed, number])
            clips.write(path, chosen_clips(which, rng))
            job.say(f"sounds and {CHOSEN_MIXES} mixes of {which} programs to choose on")
    return (solos, further), (mixes,), (held, fresh)


def chosen_clips(which: str, rng: Rng) -> Iterator[Clip]:
    """What is chosen on, of "held" or of "trained" programs: sounds of each family, then mixes of these.

    Other voices than those trained on; the group is 1 for a family alone.
    """
    each = CHOSEN_SOLOS // len(TRAINED_PLAYERS)
    sounds = [
        sound
        for number, player in enumerate(TRAINED_PLAYERS)
        for sound in sounds_of(player, each, which, 1000 * number, rng)
        if sound.family != "voice"
    ]
    sounds += [FamilySound("voice", voice(VALID_VOICES, rng), 9000) for _ in range(CHOSEN_SOLOS)]
    yield from ((mel, truth, 1) for mel, truth, _ in solo_clips(sounds, rng))
    yield from mix_clips(sounds, CHOSEN_MIXES, rng)
