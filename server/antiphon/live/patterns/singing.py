"""Sung notes: `sing("row row row your boat", note("c4 c c d e"))`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns.controls import ControlPattern, Values, note
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Span
from antiphon.signal.lyrics import syllables

MAX_CYCLES = 64
"""Maximum cycles of a text."""


class SungPattern(ControlPattern):
    """Notes with a syllable each."""

    __slots__ = ("lyrics",)

    def __init__(self, events: Query[Values], lyrics: str = "") -> None:
        super().__init__(events)
        self.lyrics = lyrics

    def _new(self, events: Query[Values]) -> SungPattern:
        return SungPattern(events, self.lyrics)


def sing(lyrics: str, notes: ControlPattern | str) -> ControlPattern:
    """Sings a text on a node `sing`: `track("voice", sing("row row row your boat", "c4 c4 c4 d4 e4"), on="cantor")`.

    Args:
        lyrics: Syllables as singers write them: hyphens divide a word, "-" alone holds the vowel on another note.
        notes: As many notes as syllables, in one cycle or several; notes that begin together share one.

    Raises:
        UsageError: The numbers of syllables and notes differ; the script is refused, and the previous one plays on.
    """
    pattern = note(notes) if isinstance(notes, str) else notes
    if not isinstance(pattern, ControlPattern) or not isinstance(lyrics, str):
        raise UsageError('sing takes a text and notes, as in sing("row your boat", note("c4 d4 e4"))')
    count, times = len(syllables(lyrics)), dict[Fraction, int]()
    cycles = 0
    while len(times) < max(1, count) and cycles < MAX_CYCLES:
        begins = {e.reach.begin for e in pattern.query(cycles, cycles + 1) if e.begins and "note" in e.value}
        times.update((at, len(times) + n) for n, at in enumerate(sorted(begins)))
        cycles += 1
    if len(times) != count:
        where = "a cycle" if cycles == 1 else f"{cycles} cycles"
        raise UsageError(
            f"sing has {count} syllables for {len(times)} notes in {where}; "
            "divide words by hyphens, and write - where a note holds the vowel before it"
        )

    def sung(span: Span, seed: int) -> list[CycleEvent[Values]]:
        found = []
        for event in pattern.events(span, seed):
            at = times.get(event.reach.begin % cycles)
            found.append(event if at is None else replace(event, value={**event.value, "syllable": at}))
        return found

    return SungPattern(sung, lyrics)
