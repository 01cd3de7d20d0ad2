"""Translated programs play the events that Strudel 1.2.6 and Tidal 1.7.10 gave; `make judge` asks them again.

A line of `judge/LANGUAGE.txt` that begins with `!` is known to differ: docs/live-coding.md says why.
"""

import pytest
from tests.paste.judged import LANGUAGES, difference, rows

from antiphon.live import reading
from antiphon.live.patterns.harmony import chord

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("language", LANGUAGES)
def test_kept_lines_play_the_events_of_their_language(language: str) -> None:
    differing = {line: difference(language, line, answer) for line, _, answer in rows(language)}
    known = {line for line, differs, _ in rows(language) if differs}
    assert {line: found for line, found in differing.items() if bool(found) != (line in known)} == {}


@pytest.mark.parametrize(("dialect", "pans"), [("tidal", [0.25, 0.75]), ("tidal 1.10", [0.0, 0.5])])
def test_signals_of_a_dialect_are_read_where_it_reads_them(dialect: str, pans: list[float]) -> None:
    script = reading.read(
        "set.py", f'from antiphon.live import *\ndialect("{dialect}")\ntrack("a", s("hh*2").pan(saw))\n'
    )
    (track,) = script.tracks.values()
    assert [event.value["pan"] for event in track.pattern.query(0, 1, script.seed)] == pans


def test_a_dropped_chord_has_its_top_note_below() -> None:
    assert chord("c4'maj'd1") == (55, 60, 64)
