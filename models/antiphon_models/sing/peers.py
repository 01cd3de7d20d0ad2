"""What is measured beside `sing`: espeak-ng's speech, that speech sung by WORLD, and festival's singing mode."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api.lyrics import syllables
from antiphon_models.material.espeak import speech
from antiphon_models.material.singing import world as vocoder
from antiphon_models.sing.judges import Sung

VOICE = "en-us+f3"
FESTIVAL = "text2wave"
PERIOD = 5.0
"""Milliseconds of WORLD's frames."""


def speak(text: str) -> tuple[NDArray[np.float32], int]:
    """Speech of espeak-ng, and its rate."""
    return speech(text, VOICE, 150, 50)


def world(text: str, notes: Sequence[Sung]) -> tuple[NDArray[np.float32], int]:
    """That speech, stretched to the score's length, at the score's pitches."""
    pyworld = vocoder()

    sound, rate = speak(text)
    x = sound.astype(np.float64)
    f0, times = pyworld.harvest(x, rate, frame_period=PERIOD)
    envelope, noise = pyworld.cheaptrick(x, f0, times, rate), pyworld.d4c(x, f0, times, rate)
    length = round(notes[-1].end * 1000.0 / PERIOD)
    at = np.minimum((np.arange(length) * len(f0) / length).astype(int), len(f0) - 1)
    seconds = np.arange(length) * PERIOD / 1000.0
    number = np.searchsorted([note.start for note in notes], seconds, side="right") - 1
    hz = np.array([note.hertz for note in notes])[number]
    sung = pyworld.synthesize(hz * (f0[at] > 0.0), envelope[at], noise[at], rate, PERIOD)
    return sung.astype(np.float32), rate


def festival(lyrics: str, notes: Sequence[Sung]) -> tuple[NDArray[np.float32], int]:
    """The singing mode of festival in its voice: every word with the lengths and pitches of its syllables."""
    words: dict[int, tuple[str, list[list[Sung]]]] = {}
    for note, syllable in zip(notes, syllables(lyrics), strict=True):
        text, sung = words.get(syllable.word, ("", []))
        if syllable.held:
            sung[-1].append(note)
        else:
            sung.append([note])
            text += syllable.text
        words[syllable.word] = text, sung

    def listed(sung: list[list[Sung]], pitch: bool) -> str:
        """Syllables between commas, the notes of each between pluses."""
        return ",".join("+".join(f"{n.hertz if pitch else n.end - n.start:.3f}" for n in each) for each in sung)

    # festival finds no words where there is no white space between tags
    score = "\n".join(
        f'<DURATION SECONDS="{listed(sung, False)}">\n<PITCH FREQ="{listed(sung, True)}">\n{text}\n</PITCH></DURATION>'
        for text, sung in words.values()
    )
    kind = '"-//SINGING//DTD SINGING mark up//EN" "Singing.v0_1.dtd"'
    head = f'<?xml version="1.0"?>\n<!DOCTYPE SINGING PUBLIC {kind} []>'
    rest = f'<REST SECONDS="{notes[0].start:.3f}">\n</REST>'
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "score.xml", Path(folder) / "sung.wav"
        source.write_text(f'{head}\n<SINGING BPM="60">\n{rest}\n{score}\n</SINGING>\n')
        subprocess.run([FESTIVAL, "-mode", "singing", source, "-o", target], check=True, capture_output=True)
        sound, rate = soundfile.read(target, dtype="float32")
    return sound, rate
