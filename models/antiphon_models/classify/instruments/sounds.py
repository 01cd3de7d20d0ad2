"""Five-second sounds of one family each: takes by soundfonts and patches, voices, single drum hits of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon_models.classify.instruments.families import FAMILIES
from antiphon_models.classify.instruments.recording import RATE
from antiphon_models.classify.instruments.takes import SECONDS, Rng, Take, cut, draw_take, score
from antiphon_models.material import fluidsynth, timidity
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings
from antiphon_models.material.singing import ScoreNote, Singer, said, singing
from antiphon_models.material.sounds import mono, of_length
from antiphon_models.material.styles import TRAINED, UNTRAINED, manner

PLAYED = 44100
"""Hz at which takes are played, above the classifiers' rate, so that nothing is folded into their bands."""
TOGETHER = 240
"""Takes of one call of a player."""
AUDIBLE = 1e-4
"""Amplitude (RMS) below which a take is left out: a note outside of what a font plays."""
MUSESCORE = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
OPL = Path("/usr/share/sounds/sf2/OPL-3_FM_128M.sf2")
SHARED_PATCHES = frozenset((75, 79))
"""Programs of FreePats of which the fonts held out have the same samples."""


@dataclass(frozen=True, slots=True)
class TakePlayer:
    """Instrument that plays takes. `name`: in tables; `font`: a soundfont; None for FreePats by TiMidity++."""

    name: str
    font: Path | None

    def programs(self) -> frozenset[int]:
        return timidity.programs() - SHARED_PATCHES if self.font is None else frozenset(range(128))

    def missing(self) -> list[str]:
        """Names of what the player needs and this machine lacks."""
        return timidity.missing() if self.font is None else fluidsynth.missing((self.font,))

    def play(self, takes: Sequence[Take]) -> list[F32]:
        """The takes as sound, mono float32 `[SECONDS · RATE]` each."""
        import soxr

        notes = score(takes)
        if self.font is None:
            played = timidity.play(notes, PLAYED)
        else:
            played = fluidsynth.play(notes, self.font, PLAYED, FluidSettings(gain=0.6))
        mono = soxr.resample(played.mean(axis=1), PLAYED, RATE)
        return cut(np.asarray(mono, np.float32), len(takes), RATE)


TRAINED_PLAYERS = (
    TakePlayer("FluidR3", FLUID),
    TakePlayer("MuseScore General", MUSESCORE),
    TakePlayer("OPL3", OPL),
    TakePlayer("FreePats", None),
)
"""MuseScore General descends from FluidR3; the others share no samples with it or each other."""
HELD_PLAYER = TakePlayer("TimGM6mb", TIM)
"""No network is trained on it, nor on Csound's GMbank, of whose samples two thirds are the same."""
TRAIN_VOICES = (
    "en+m1", "en+f1", "en-us+m3", "en+f2", "de+m7", "it+f3", "en+Andy", "en+Annie", "en-us+Michael", "en+Linda",
    "es+Diogo", "pt+Henrique", "en+Steph", "nl+max", "sv+David", "pl+Denis", "en-us+Alicia", "fi+Ed",
)  # fmt: skip
VALID_VOICES = ("en-gb+Belinda", "en+Iven", "da+anika", "en-us+Benjamin")
TEST_VOICES = ("en+Andrea", "en-us+Caleb", "fr+Gustave", "es+aunty", "en-gb+Boris", "de+female5")
SYLLABLES = ("la", "na", "doo", "yeah", "no", "bay", "see", "heart", "who", "ah", "oh", "time")
SENTENCES = (
    "There is a house at the end of the street, and nobody has lived in it for years.",
    "Two tickets to the city, please, one way, and could you tell me when the next train leaves?",
    "We walked along the river until it was dark, and then we walked all the way back again.",
    "If you want to hear the other side of the record, you will have to turn it over yourself.",
)


def voice(voices: Sequence[str], rng: Rng) -> F32:
    """Five seconds of a voice: it sings a melody, alone or with a second and third voice; or it speaks."""
    name = str(rng.choice(voices))
    if rng.random() < 0.15:
        sentence = str(rng.choice(SENTENCES))
        spoken = said(sentence, name, int(rng.integers(110, 190)), int(rng.integers(20, 80)), RATE)
        return of_length(spoken, round(SECONDS * RATE))
    high = rng.random() < 0.5
    low = int(rng.integers(53, 60)) if high else int(rng.integers(40, 50))
    notes: list[ScoreNote] = []
    while len(notes) < 3:
        take = draw_take("flute", 73, rng)
        by = low + 8 - round(float(np.median([tone for _, _, tone, _ in take.notes])))
        notes = _within(
            [
                ScoreNote(start, max(start + 0.12, end), int(np.clip(tone + by, low - 3, low + 20)), velocity / 127.0)
                for start, end, tone, velocity in take.notes
            ]
        )
    parts = [0] if rng.random() < 0.75 else [0, *rng.choice([-5, 3, 4, 7, 0], int(rng.integers(1, 3)))]
    total = np.zeros(round(SECONDS * RATE), np.float32)
    for part in parts:
        how = manner(rng, TRAINED if rng.random() < 0.5 else UNTRAINED)
        moved = [ScoreNote(note.start, note.end, note.pitch + int(part), note.velocity) for note in notes]
        singer = name if part == 0 else str(rng.choice(voices))
        seed, warp = int(rng.integers(1 << 30)), float(rng.uniform(0.88, 1.15))
        sung, _ = singing(moved, Singer(singer, syllables_of(singer), warp), how, seed, RATE)
        total += of_length(sung, len(total))
    return total


def syllables_of(singer: str) -> list[str]:
    """A few syllables, others for each singer: taking one apart takes longer than singing it."""
    first = sum(singer.encode()) % len(SYLLABLES)
    return [SYLLABLES[(first + 5 * n) % len(SYLLABLES)] for n in range(4)]


def _within(notes: Sequence[ScoreNote]) -> list[ScoreNote]:
    """One note at a time, in order."""
    ordered = sorted(notes, key=lambda note: note.start)
    return [
        ScoreNote(note.start, min(note.end, following.start), note.pitch, note.velocity)
        for note, following in zip(ordered, [*ordered[1:], ScoreNote(SECONDS, SECONDS, 0, 0.0)], strict=True)
        if following.start - note.start > 0.1
    ]


def play_takes(
    player: TakePlayer, wanted: Sequence[tuple[str, int | None]], rng: Rng
) -> Iterator[tuple[str, int, F32]]:
    """Takes of these families and programs: label, program (128 for drums), sound; silent ones are left out."""
    for first in range(0, len(wanted), TOGETHER):
        takes = [draw_take(family, program, rng) for family, program in wanted[first : first + TOGETHER]]
        for take, sound in zip(takes, player.play(takes), strict=True):
            if np.sqrt(np.mean(sound**2)) > AUDIBLE:
                yield take.family, 128 if take.drums else take.program, sound


def programs(player: TakePlayer, family: str, which: str) -> list[int | None]:
    """A family's programs by a player: "trained", or "held" for those that no network is trained on."""
    kind = FAMILIES[family]
    if family == "drums":
        return [None]
    chosen = kind.held if which == "held" else [number for number in kind.programs if number not in kind.held]
    return [number for number in chosen if number in player.programs()]


def drums_of_recordings(folder: Path, choose: Callable[[int], bool]) -> Iterator[Callable[[Rng], F32]]:
    """What makes five seconds of drums of single hits and loops in the folder `sonicpi`; nothing without it."""
    kinds = {
        "kick": ("bd_",),
        "snare": ("sn_", "drum_snare", "elec_snare"),
        "hat": ("hat_", "drum_cymbal", "ride_"),
        "hand": ("tabla_", "drum_tom", "perc_snap", "drum_cowbell"),
    }
    hits: dict[str, list[F32]] = {}
    for kind, starts in kinds.items():
        paths = sorted(path for path in folder.glob("*.flac") if path.name.startswith(starts))
        for number, path in enumerate(paths):
            if choose(number):
                hit = mono(path, RATE)
                hits.setdefault(kind, []).append(hit / (np.abs(hit).max() + 1e-9))

    def groove(rng: Rng) -> F32:
        total = np.zeros(round(SECONDS * RATE), np.float32)
        sixteenth = 15.0 / rng.uniform(70.0, 170.0)
        for kind in ("hand",) * 3 if rng.random() < 0.25 else ("kick", "snare", "hat"):
            hit = hits[kind][rng.integers(len(hits[kind]))]
            places, gain = rng.random(16) < rng.uniform(0.12, 0.5), rng.uniform(0.3, 1.0)
            places[int(rng.integers(4)) * 4] = True
            for step in range(int(SECONDS / sixteenth)):
                if places[step % 16]:
                    at = round(step * sixteenth * RATE)
                    part = hit[: len(total) - at]
                    total[at : at + len(part)] += gain * part
        return total

    if len(hits) == len(kinds):
        yield groove
