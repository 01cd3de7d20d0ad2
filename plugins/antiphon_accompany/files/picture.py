"""Piano roll of melody, chords and parts, as SVG."""

from collections.abc import Iterable, Sequence

from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.harmony.chordtext import ChordSpan

BEAT, KEY, TOP = 24.0, 5.0, 36.0
"""Pixels per quarter note, per semitone, and above the highest key."""
MAX_WIDTH = 60_000.0
"""Maximum width in pixels: longer pieces are scaled."""
COLOURS = {
    "melody": "#e8593c",
    "piano": "#3f7cbf",
    "guitar": "#c8a028",
    "bass": "#7a52a8",
    "drums": "#8a8a8a",
    "pad": "#3c965a",
}


def piano_roll(
    melody: Sequence[BeatNote], notes: Sequence[BeatNote], chords: Iterable[ChordSpan], bars: Iterable[float]
) -> str:
    """SVG text: time to the right, pitch upward, chord names above.

    `bars`: quarter notes on which bars begin.
    """
    every = [note._replace(part="melody") for note in melody] + list(notes)
    low, high = min(n.pitch for n in every) - 1, max(n.pitch for n in every) + 1
    end = max(n.end for n in every)
    beat = min(BEAT, MAX_WIDTH / max(1.0, end))
    width, height = end * beat, TOP + (high - low + 1) * KEY
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.1f}" height="{height:.1f}" font-family="sans-serif" '
        'font-size="10">',
        f'<rect width="{width:.1f}" height="{height:.1f}" fill="white"/>',
    ]
    for bar in bars:
        if 0.0 <= bar <= end:
            x = bar * beat
            lines.append(f'<line x1="{x:.1f}" y1="{TOP:.0f}" x2="{x:.1f}" y2="{height:.1f}" stroke="#ddd"/>')
    for n, part in enumerate(name for name in COLOURS if any(note.part == name for note in every)):
        lines.append(f'<text x="{4 + 60 * n}" y="12" fill="{COLOURS[part]}">{part}</text>')
    for span in chords:
        if span.chord is not None:
            lines.append(f'<text class="chord" x="{span.start * beat + 1:.1f}" y="28">{span.chord.name}</text>')
    for note in every:
        x, y = note.start * beat, TOP + (high - note.pitch) * KEY
        wide = max(1.0, (note.end - note.start) * beat - 0.5)
        lines.append(
            f'<rect class="{note.part}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{KEY - 0.5:g}" '
            f'fill="{COLOURS[note.part]}" fill-opacity="{0.4 + 0.6 * note.velocity:.2f}"/>'
        )
    return "\n".join([*lines, "</svg>", ""])
