"""The reference of words: each example plays, and what Tidal's and Strudel's users know is there."""

import re
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from tests.each import each

from antiphon import live
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.session.commands import SetParam
from antiphon.kernel.session.notes import Players
from antiphon.live.listening import missing
from antiphon.live.notes import MACRO_VALUES, to_macros
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import LiveEvent
from antiphon.live.reference import PATCHES, Entry, entries
from antiphon.offline.commands import param_finder
from antiphon.offline.event_file import FindParam
from antiphon.offline.script_run import commands, drop_missing_macros
from antiphon.signal.harmony import CHORDS, SCALES

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


@cache
def patch_of(name: str) -> tuple[Graph, FindParam, Players]:
    catalog = load(check=False).catalog
    graph = load_patch(name, catalog).graph
    return graph, param_finder(graph, catalog), Players(graph, catalog)


def tried(example: str) -> str:
    """What **Try** runs, `tried` of page/src/code/words.ts; of what it does not offer, the example for its value."""
    if re.match(r"track\(", example):
        return re.sub(r'^track\(\s*"[^"]*"', 'track("try"', example)
    playable = re.search(r"\b(?:s|n|note|sound)\(", example) and not re.match(r"@|node\(|play\(|once\(|\w+ = ", example)
    if playable:
        return f'track("try", {example})'
    return example if example.startswith("@") else f"shown = {example}"


@each("entry", entries())
def test_each_example_plays_where_the_page_tries_it(entry: Entry) -> None:
    assert entry.doc
    assert entry.example, "each word has an example"
    patch = PATCHES.get(entry.names[0], "band")
    text = re.search(r"const FIRST = `(.*?)`", (ROOT / "page/src/code/store.ts").read_text(), re.DOTALL)[1]
    text = text if patch == "band" else f'from antiphon.live import *\npatch("{patch}")\ntrack("x", silence)'
    script = read("/sets/set.py", f"{text}\n{tried(entry.example)}\n")
    events = Performance(script).until(Fraction(8))
    graph, find, players = patch_of(patch)
    assert list(missing(script.listens.items(), [node.name for node in graph.nodes])) == []
    played, lacking = drop_missing_macros(events, players)
    assert all(one.endswith("strudel has it") for one in lacking), "macros of strudel alone"
    commands(played, "set.py", find, players)


@each("patch", ["strudel", "band", "pads", "throw"])
def test_values_of_macros_reach_the_parameters_as_they_are_given(patch: str) -> None:
    given = {"phaser": 1.0, "size": 4.0, "delaytime": 0.25}
    graph, find, _ = patch_of(patch)
    targets = {macro.name: macro.targets[0] for macro in graph.macros}
    found = places(patch, **given)
    assert found
    for name, place in found.items():
        target = targets[name]
        value = next(given[one] for one, macro in MACRO_VALUES.items() if name == macro.partition("/")[0])
        assert target.value(find(target.node, target.param), place) == pytest.approx(value, rel=1e-4)


def places(patch: str, **given: float) -> dict[str, float]:
    """Macros that a note's values set in a patch."""
    graph, find, players = patch_of(patch)
    events = [*to_macros({"s": "bd", **given}, Fraction(0), "", "t", 1)]
    # as of node("macro").foo, in a track and beside it
    events += [LiveEvent(Fraction(0), "/node/macro/foo", (0.5,), track, 1) for track in ("t", "")]
    played, lacking = drop_missing_macros(events, players)
    names = ", ".join(macro.name for macro in graph.macros)
    assert any(one.endswith(f"no macro 'foo', and this does nothing; there are: {names}") for one in lacking)
    found = [one for one in commands(played, "set.py", find, players) if isinstance(one, SetParam)]
    return {one.param: float(one.value) for one in found}


def test_values_of_macros_that_move_a_share_are_places_in_a_range_of_seconds_or_turns() -> None:
    found = [places("drone", phaser=by)["phaser"] for by in (0.01, 1.0, 2.0, 4.0, 9.0)]
    assert found == pytest.approx([0.0, 0.652932, 0.768622, 0.884311, 1.0], abs=1e-4)
    assert places("cantor", size=4.0)["size"] == pytest.approx(0.765779, abs=1e-4)
    for wrong in (10**400, float("nan"), float("inf"), True):
        with pytest.raises(UsageError, match="delaytime takes a number"):
            places("drone", delaytime=wrong)


def test_the_names_that_live_coders_know_are_there() -> None:
    lacking = [name for name in NAMES.split() if name not in live.__all__ and not hasattr(live.ControlPattern, name)]
    assert lacking == []
    assert len(set(SCALES.values())) >= 60
    assert len(set(CHORDS.values())) >= 60
