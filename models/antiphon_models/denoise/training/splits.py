"""Training, validation and test splits, by song, fold, voice and file."""

from pathlib import Path
from typing import Any, Literal

from antiphon_models.learning.needs import folders
from antiphon_models.material import sounds
from antiphon_models.material.fluidsynth import FLUID, TIM

Part = Literal["train", "valid", "test"]
TRAIN_FONT, TEST_FONTS = FLUID, {"timgm": TIM, "fluid": FLUID}
TEST_LOOPS = ("loop_amen", "loop_amen_full", "loop_garzul", "loop_tabla", "loop_weirdo")
VALID_LOOPS = ("loop_perc2",)
TEST_SHOTS = ("drum_cymbal_hard", "drum_cymbal_open", "drum_splash_hard", "ride_via")
TEST_TRACKS = ("trumpet_solo_90bpm", "hungarian_dance_strings")
"""Test recordings used whole; of the others the first 60 % train, the last 30 % test."""
TRACK_PARTS: dict[Part, tuple[float, float]] = {"train": (0.0, 0.6), "valid": (0.6, 0.7), "test": (0.7, 1.0)}
VALID_CLIPS = 2
LANGUAGES: dict[Part, tuple[str, ...]] = {
    "train": ("en-us", "en-gb-scotland", "de", "fr-fr", "es", "it", "nl", "sv", "pl", "ru", "tr", "hi", "fi", "el"),
    "valid": ("en-us", "hu"),
    "test": ("en-us", "en-gb", "pt-br", "cs"),
}
VARIANTS: dict[Part, tuple[str, ...]] = {
    "train": ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+f1", "+f2", "+f3", "+whisper", "+klatt", "+klatt2", "+Andrea"),
    "valid": ("+m6", "+klatt3", "+Linda"),
    "test": ("+m7", "+m8", "+f4", "+f5", "+klatt4", "+Annie", "+Max"),
}


def songs(data: Path, part: Part) -> list[Path]:
    """Songs of POP909, by the last digit of their number: 1-6 train, 7 valid, 8-9 test."""
    folders(data, ("pop909",))
    digits = {"train": "123456", "valid": "7", "test": "89"}[part]
    return [path for path in sorted((data / "pop909").glob("*/*.mid")) if path.parent.name[-1] in digits]


def chorales(data: Path, part: Part) -> list[Any]:
    """Bach's chorales in the set's own splits: lists of chords of four pitches, -1 for a rest."""
    return sounds.chorales(data)[part]


def clips(data: Path, part: Part) -> list[Path]:
    """ESC-10: fold 4 tests; of fold 3 the last clips of each class validate; the rest of folds 1 to 3 trains."""
    folders(data, ("esc10",))
    chosen: list[Path] = []
    for folder in sorted(path for path in (data / "esc10").iterdir() if path.is_dir()):
        folds = {n: sorted(folder.glob(f"{n}-*.ogg")) for n in "1234"}
        last = folds["3"][-VALID_CLIPS:]
        chosen += {"train": folds["1"] + folds["2"] + folds["3"][:-VALID_CLIPS], "valid": last, "test": folds["4"]}[
            part
        ]
    return chosen


def loops(data: Path, part: Part) -> list[Path]:
    """Sonic Pi's `loop_*`."""
    held = {"test": TEST_LOOPS, "valid": VALID_LOOPS}
    every = sorted((data / "sonicpi").glob("loop_*.flac"))
    if part == "train":
        return [path for path in every if path.stem not in TEST_LOOPS + VALID_LOOPS]
    return [path for path in every if path.stem in held[part]]


def shots(data: Path, part: Part) -> list[Path]:
    """One-shots of Sonic Pi; four cymbals test, none validates."""
    every = [path for path in sorted((data / "sonicpi").glob("*.flac")) if not path.stem.startswith("loop_")]
    return [path for path in every if (path.stem in TEST_SHOTS) == (part == "test") and part != "valid"]


def tracks(data: Path, part: Part) -> list[tuple[Path, float, float]]:
    """Recordings with start and end of the excerpt as shares of the length."""
    every = sorted((data / "tracks").glob("*.ogg"))
    whole = [(path, 0.0, 1.0) for path in every if path.stem in TEST_TRACKS and part == "test"]
    return whole + [(path, *TRACK_PARTS[part]) for path in every if path.stem not in TEST_TRACKS]
