"""Renders the sung phrases of the demo's loop: espeak-ng's syllables on the notes of the score, put together by WORLD.

python tools/sing_demo.py [PATH]     PATH: of the Ogg Vorbis file, for server/antiphon/demo/voice.ogg

Needs espeak-ng and pyworld, which playing does not: so the file ships. Score and words are of this project, the file
is CC0 (server/antiphon/demo/NOTICE). The same samples every time, before the encoder.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import soundfile

from antiphon.demo.hum_loop import SUNG, sung_places
from antiphon.demo.melody_loop import BPM, FRAMES, RATE
from antiphon.kernel.runtime.paths import write_atomic
from antiphon_models.material.singing import ScoreNote, singing
from antiphon_models.material.styles import SingingStyle

VOICE = "en-us+f2"
WORDS = ("sing", "to", "me", "and", "I", "will", "play", "this", "mew", "zick", "is", "for", "you")
"""A syllable for each note, as espeak-ng is to say it."""
STYLE = SingingStyle(
    glide=0.05,
    scoops=0.0,
    vibrato=0.25,
    vibrato_rate=5.4,
    vibrato_delay=0.25,
    drift=0.05,
    mistuned=0.03,
    slurs=0.0,
    breath=0.0,
)
LEAD = 0.3
"""Seconds before the note, for its consonant."""
APART = 0.07
"""Seconds by which a note ends before the next one's beat."""
PEAK = 0.5
QUALITY = 0.35
"""Compression of the encoder, 0 to 1: 1 is smallest."""


def sung() -> np.ndarray:
    """float32: the phrases one behind the other, without the hummed ones between them."""
    whole = np.zeros(FRAMES)
    for n, ((beat, beats, number), word) in enumerate(zip(SUNG, WORDS, strict=True)):
        seconds = beats * 60.0 / BPM - APART
        note = ScoreNote(LEAD, LEAD + seconds, number, 0.8)
        sound, _ = singing([note], VOICE, STYLE, seed=n, rate=RATE, syllables=(word,))
        at = round((beat * 60.0 / BPM - LEAD) * RATE)
        place = np.arange(at, at + len(sound)) % FRAMES
        whole[place] += sound / max(float(np.sqrt(np.mean(sound[round(LEAD * RATE) :] ** 2))), 1e-9)
    phrases = np.concatenate([whole[place] for place in sung_places()])
    return (PEAK * phrases / np.abs(phrases).max()).astype(np.float32)


def main(path: Path) -> None:
    """Writes the file."""
    made = io.BytesIO()
    soundfile.write(made, sung(), RATE, format="OGG", subtype="VORBIS", compression_level=QUALITY)
    write_atomic(path, made.getvalue())
    print(f"{path}: {len(made.getvalue())} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "server/antiphon/demo/voice.ogg")
