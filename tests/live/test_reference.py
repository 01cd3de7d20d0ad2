"""The reference of words: each example plays, and what Tidal's and Strudel's users know is there."""

from __future__ import annotations

import re
from pathlib import Path

from antiphon import live
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.reference import entries
from antiphon.signal.scales import CHORDS, SCALES

ROOT = Path(__file__).resolve().parents[2]
NAMES = """
    accelerate add always almostAlways almostNever arp arpWith arpeggiate arrange as_ attack begin binary bind
    bite brak brandBy cat ceil chew choose chooseCycles chop chunk chunkBack clutch coarse compress contrast
    crush cut degrade degradeBy degradeWith div early echo echoWith end euclid euclidFull euclidLegato euclidOff
    every fast fastGap fastcat fastspread filter firstOf fit fix floor foldEvery ghost grain hpf hurry hush ifp
    inhabit inside interlace inversion iter iterBack jump jux juxBy juxcut keep lastOf late layer linger log
    loopAt lpf mask mod mul mute ncat never nudge octave off often outside overlay palindrome pan pick pickF
    pickRestart ply plyWith polymeter polyrhythm press pressBy quantise randslice range range2 rangex rarely
    repeatCycles reset restart rev ribbon rolled rolledBy rootNotes rot round scale scan scramble segment set
    sew shuffle slice slow smash solo someCycles sometimes sometimesBy sound spread squeeze stack stitch striate
    struct stut stutWith stutter sub superimpose swap swing swingBy timeCat timeLoop toScale transpose
    scaleTranspose undegradeBy unit velocity voicing vowel wchoose wedge when whenT whenmod while_ within
    wrandcat xfade zoom
"""
"""Names of Tidal and Strudel, as they write them."""


def test_every_word_is_on_the_page_or_in_the_reference() -> None:
    names = {name for entry in entries() for name in entry.names}
    page = (ROOT / "docs" / "live-coding.md").read_text()
    lacking = {name for name in live.__all__ if name not in names and not re.search(rf"\b{name}\b", page)}
    assert lacking <= {"ControlPattern", "LiveNode", "NodeNote", "Pattern", "Scale", "pure", "silence"}


def test_each_example_plays() -> None:
    words = {name: getattr(live, name) for name in live.__all__}
    for entry in entries():
        assert entry.doc, entry.names
        if entry.example and entry.group != "script":
            pattern = eval(entry.example, dict(words))
            assert isinstance(pattern, Pattern), entry
            pattern.query(0, 2)


def test_the_names_that_live_coders_know_are_there() -> None:
    lacking = [name for name in NAMES.split() if name not in live.__all__ and not hasattr(live.ControlPattern, name)]
    assert lacking == []
    assert len(set(SCALES.values())) >= 60
    assert len(set(CHORDS.values())) >= 60
