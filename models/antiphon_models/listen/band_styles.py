"""Bands of many styles and tempi for fitting beats, meters and bars, by the program `mma` and FluidSynth.

Musical MIDI Accompaniment (Debian's package `mma`, GPL) has a hundred styles; nothing of it ships.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.listen.songs import RATE, SOUNDFONTS, ListenedSong
from antiphon_models.material.fluidsynth import FluidSettings, play
from antiphon_models.material.sounds import cached_sound, mono

STYLES = Path("/usr/share/mma/lib/stdlib")
_SECONDS = 40.0
_WALTZES = """
waltz 90 180, arpeggiowaltz 90 150, broadwaywaltz 100 170, countrywaltz 90 130, fastjazzwaltz 160 200,
fastwaltz 150 190, frenchwaltz 130 190, jazzwaltz 110 180, latinwaltz 110 160, modernjazzwaltz 120 180,
rockwaltz 90 150, vienesewaltz 150 190
"""
_IN_FOUR = """
50srock 100 170, 60srock 110 150, 8beat 80 130, afro-cuban 90 120, arpeggio44 70 120, ballad 58 85, basicrock 100 140,
beguine 90 120, blues 80 130, bluefolk 80 130, bluegrass 100 130, bossanova 110 150, boneym 100 130, calypso 90 120,
chacha 110 128, countryblues 90 140, countryswing 110 160, dsoul 90 120, easyswing 110 140, fastswing 170 198,
folk 90 130, folkballad 62 95, folkrock 100 130, foxtrot 110 130, guitarballad 60 90, hillcountry 100 150,
jazzguitar 90 140, jazzrock 90 130, jive 150 180, lfusion 90 120, lighttango 110 130, mambo 90 110, merengue 110 140,
mellowjazz 80 120, pianoballad 58 80, popballad 58 85, popspiritual 80 120, quickstep 180 198, rb 80 110,
rb-ballad 60 85, rhumba 90 120, rockballad 58 90, salsa 85 110, samba 90 115, ska 110 150, slowblues 56 75,
slowjazz 58 80, slowcountry 60 85, softrock 75 110, son 85 110, stringballad 58 85, strut 90 120, swing 120 180,
tango 110 130, trance 130 145, twist 150 170, westernswing 120 170, zydeco 100 130, bvfunk 90 115, cubanguitar 85 115,
rock-128 60 80, ballad128 58 75
"""
"""Names of styles, each with the range of the tempi at which it is played."""
_PROGRESSIONS = (
    "C Am F G", "C F G C", "Am F C G", "Dm G C Am", "C C F F", "C G Am F", "F G Em Am", "Am Dm E Am", "C7 F7 C7 G7",
    "Dm7 G7 CM7 CM7", "G D Em C", "Am G F E",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BandSong:
    """A rendered style with its truth; `held` styles are measured on, the others fitted on."""

    song: ListenedSong
    meter: int
    held: bool


def band_songs(work: Path) -> Iterator[BandSong]:
    """Each style at two tempi, by the whole band and by its drums, by the soundfonts in turn."""
    for text, meter in ((_IN_FOUR, 4), (_WALTZES, 3)):
        for number, line in enumerate(sorted(text.replace("\n", " ").split(","))):
            name, *ends = line.split()
            low, high = (float(end) for end in ends)
            rng = np.random.default_rng([number, meter])
            for half in range(2):
                # whole bpm: the program cuts others off
                tempo = int(low + (half + rng.random()) * (high - low) / 2.0)
                score, bars = _score(name, tempo, meter, rng, work)
                for drums in (False, True):
                    soundfont = list(SOUNDFONTS)[(number + half + drums) % 2]
                    sound = _sound(_drums_alone(score) if drums else score, f"{name}-{tempo}-{drums}", soundfont, work)
                    beats = 60.0 / tempo * np.arange(bars * meter, dtype=np.float64)
                    if np.abs(sound).max() > 0.0:
                        song = ListenedSong(f"{name} {tempo}", sound, beats, beats[::meter], (), "", 1)
                        yield BandSong(song, meter, number % 2 == 1)


def _score(name: str, tempo: int, meter: int, rng: np.random.Generator, work: Path) -> tuple[bytes, int]:
    """A MIDI file's bytes, and its bars."""
    found = re.search(r"(?im)^\s*defgroove\s+(\S+)", (STYLES / f"{name}.mma").read_text("latin-1"))
    if found is None:
        raise ValueError(f"the style {name} has no groove")
    bars = max(8, int(_SECONDS * tempo / 60.0 / meter)) // 4 * 4
    parts = [_PROGRESSIONS[n].split() for n in rng.integers(0, len(_PROGRESSIONS), 2)]
    lines = [f"{bar + 1} {parts[bar // 8 % 2][bar % 4]}" for bar in range(bars)]
    text, notes = work / f"{name}-{tempo}.mma", work / f"{name}-{tempo}.mid"
    text.write_text("\n".join([f"Tempo {tempo}", f"Groove {found[1]}", *lines, ""]))
    subprocess.run(["mma", text, "-f", notes], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return notes.read_bytes(), bars


def _sound(score: bytes, name: str, soundfont: str, work: Path) -> NDArray[np.float32]:
    def make() -> NDArray[np.float32]:
        sound = play(score, SOUNDFONTS[soundfont], RATE, FluidSettings(0.5, True))
        return np.asarray(sound.mean(axis=1) / max(1.0, np.abs(sound).max()))

    sound = mono(cached_sound(work / f"{name}-{soundfont}.flac", RATE, make), RATE)
    return np.asarray(0.5 * sound / (np.abs(sound).max() + 1e-9), np.float32)


def _drums_alone(score: bytes) -> bytes:
    """The same MIDI file with the notes of all channels but the tenth silent: of velocity 0."""
    out, at = bytearray(score), 14
    while at < len(score):
        at, end, status = at + 8, at + 8 + int.from_bytes(score[at + 4 : at + 8], "big"), 0
        while at < end:
            at = _behind_number(score, at)
            if score[at] >= 0x80:
                status, at = score[at], at + 1
            if status >= 0xF0:  # a text, or an exclusive message, with its length
                at += status == 0xFF
                behind = _behind_number(score, at)
                at = behind + _number(score[at:behind])
                continue
            if status >> 4 == 9 and status & 15 != 9:
                out[at + 1] = 0
            at += 1 if status >> 4 in (12, 13) else 2
    return bytes(out)


def _behind_number(data: bytes, at: int) -> int:
    while data[at] >= 0x80:
        at += 1
    return at + 1


def _number(digits: bytes) -> int:
    value = 0
    for digit in digits:
        value = value << 7 | digit & 0x7F
    return value
