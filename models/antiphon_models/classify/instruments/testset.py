"""The sounds that `instruments` is measured on: made by seed and player, and recordings where there are some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F32, AntiphonError
from antiphon_models.classify.instruments.families import LABELS
from antiphon_models.classify.instruments.material import FamilySound, sounds_of
from antiphon_models.classify.instruments.mixing import draw_families, mix_families
from antiphon_models.classify.instruments.recording import RATE, simulate_recording
from antiphon_models.classify.instruments.sounds import (
    HELD_PLAYER,
    TEST_VOICES,
    TRAINED_PLAYERS,
    TakePlayer,
    drums_of_recordings,
    voice,
)
from antiphon_models.classify.instruments.takes import SECONDS
from antiphon_models.material.sounds import mono

EXCERPTS = 8
"""Of a recording at most, `SECONDS` each, evenly spread."""
TRACKS = {
    "hungarian_dance_strings": ("strings",),
    "trumpet_solo_90bpm": ("brass",),
    "lets_go_fishin_country_vocal": ("voice", "guitar"),
    "speech_librispeech": ("voice",),
    "vibe_ace_jazz": ("mallets", "bass", "drums", "piano"),
    "robin_whistle": (),
}
"""Families in the recordings of the folder `tracks`; of two only some are known, so only a voice is asked of them."""
PLAIN = ("hungarian_dance_strings", "trumpet_solo_90bpm", "speech_librispeech")


@dataclass(frozen=True, slots=True)
class TestSound:
    """A sound and what is known of it.

    `sound`: float32 `[frames]` at `RATE`. `asked`: "one": which family it is. "all": which families are present.
    "voice": only whether there is a voice.
    """

    __test__ = False  # pytest would take it for a test

    name: str
    sound: F32
    present: tuple[str, ...]
    asked: str
    group: str


def make_items(count: int, mixes: int, seed: int) -> Iterator[TestSound]:
    """Items of the trained players and of the one held out: families alone, duos, mixes of three to five.

    `count` sounds of each family by either; `mixes` duos, and mixes, of each.
    """
    each = -(-count // len(TRAINED_PLAYERS))
    rng = np.random.default_rng([seed, 3])
    trained = [one for player in TRAINED_PLAYERS for one in sounds_of(player, each, "trained", 0, rng)]
    held = sounds_of(HELD_PLAYER, count, "trained", 0, rng)
    for title, sounds in (("soundfonts trained on", trained), (f"{HELD_PLAYER.name}, never trained on", held)):
        # voices are sung: a soundfont's choir is no test of that
        sung = [FamilySound("voice", voice(TEST_VOICES, rng), 0) for _ in range(count)]
        alone = [one for one in sounds if one.family != "voice"] + sung
        for n, one in enumerate(alone):
            name = f"{one.family} {n}, program {one.group % 1000}"
            yield TestSound(name, simulate_recording(one.sound, rng), (one.family,), "one", f"one family, {title}")
        by = {label: [one.sound for one in alone if one.family == label] for label in LABELS}
        for kind, sizes in (("duos", (2,)), ("mixes of 3 to 5", (3, 4, 5))):
            for n in range(mixes):
                families = [label for label in draw_families(int(rng.choice(sizes)), rng) if by[label]]
                mix, present = mix_families(
                    [(label, by[label][rng.integers(len(by[label]))]) for label in families], rng
                )
                yield TestSound(f"{kind} {n}", simulate_recording(mix, rng), tuple(present), "all", f"{kind}, {title}")


def players() -> tuple[TakePlayer, ...]:
    """All that play the sounds that are made."""
    return (*TRAINED_PLAYERS, HELD_PLAYER)


def missing(data: Path) -> list[str]:
    """Programs, soundfonts and folders that the training's material needs and that are not here."""
    absent = [name for player in TRAINED_PLAYERS for name in player.missing()]
    return list(dict.fromkeys(absent)) + [name for name in ("sonicpi", "esc10") if not (data / name).is_dir()]


def recordings(data: Path) -> Iterator[TestSound]:
    """Singing, the tracks, drums that no network was trained on: what is there of them."""
    for path in sorted((data / "singing").glob("*.ogg")):
        for n, part in enumerate(_parts(path, 2)):
            yield TestSound(f"{path.stem} {n}", part, ("voice",), "one", "recordings")
    for name, families in TRACKS.items():
        path = data / "tracks" / f"{name}.ogg"
        for n, part in enumerate(_parts(path, EXCERPTS) if path.is_file() else ()):
            yield TestSound(f"{name} {n}", part, families, "one" if name in PLAIN else "voice", "recordings")
    rng = np.random.default_rng(4)
    for groove in drums_of_recordings(data / "sonicpi", lambda number: number % 4 == 0):
        for n in range(24):
            yield TestSound(f"drums {n}", groove(rng), ("drums",), "one", "recordings")


def _parts(path: Path, count: int) -> Iterator[F32]:
    """Excerpts of a recording, evenly spread, without its first ones where it is long enough."""
    import soundfile

    try:
        sound = mono(path, RATE)
    except (OSError, soundfile.LibsndfileError, AntiphonError):
        return
    length = round(SECONDS * RATE)
    places = min(count, len(sound) // length)
    for start in np.linspace(0, len(sound) - length, places + 2)[1:-1] if places else ():
        yield sound[int(start) : int(start) + length]
