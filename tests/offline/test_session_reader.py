"""A kept set's log, damaged or made up: it is played, or refused in a sentence that names the line."""

import copy
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests import accepted
from tests.local import CATALOG, make

from antiphon.kernel.contract.block import Samples, StreamSpec, missed_fade_out
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.kernel.plugins.loader import Loaded
from antiphon.offline.replay import replay
from antiphon.offline.session_reader import INPUT, LOG, SessionLog, session_folder
from antiphon.operations.tracks import MIDWAY, replay_output
from antiphon.testing import sound as audio

RATE, BLOCK, BLOCKS = 48000, 256, 12
GRAPH = Graph(
    (NodeSpec("level", "gain", {"gain": 0.5}), NodeSpec("echo", "delay", {"time": 0.01})),
    (
        Wire(End(IN, IN), End("level", "in")),
        Wire(End("level", "out"), End("echo", "in")),
        Wire(End("echo", "out"), End(OUT, OUT)),
    ),
)
IDS = {"level": 3, "echo": 4}


@pytest.fixture(scope="module")
def lines(loaded: Loaded) -> list[dict[str, Any]]:
    """A log with a line of every kind."""
    spec = StreamSpec(RATE, BLOCK, 2)
    stage = GraphPlayer(spec)
    stage.load(compile_plan(GRAPH, loaded.catalog, loaded.make, spec, IDS), 1, 0.0)
    load = {"graph": GRAPH.to_json(), "ids": IDS, "serial": 1, "fade": 0.0, "tempo": 0.0}
    tempo = stage.state()["tempo"]
    made = [
        {"session": 2, "rate": RATE, "block": BLOCK, "channels": 2, "device": "cpu", "synth": "auto", "seed": 1},
        {"engine": "joined", **stage.state(), "load": load},
        {"sample": 300, "op": "set", "node": 3, "cell": 3, "number": 0.25, "ramp": 0.01},
        {"sample": 400, "op": "set", "node": IN_NUMBER, "cell": 3, "number": -6.0, "ramp": 0.01},
        {"sample": 500, "op": "set", "node": OUT_NUMBER, "cell": 3, "number": -3.0},
        {"sample": 600, "op": "tempo", "bpm": 90.0, "beats": 2.0},
        {"sample": 700, "op": "transport", "playing": False, "beat": 4.0},
        {"sample": 768, "node": 4, "mark": "away", "number": 3, "leaving": 0},
        {"sample": 1024, "load": {**load, "serial": 2, "fade": 0.005, "tempo": 100.0}},
        {"sample": 1100, "op": "note_on", "node": 4, "note": 60, "velocity": 0.5, "channel": 1},
        {"missed": [1280, 1536]},
        {"unheard": 1536},
        {"sample": 1792, "failed": 4, "reason": "raised ValueError", "aside": False, "leaving": False},
        {"sample": 2000, "op": "panic"},
        {"engine": "started", "sample": 2304, "died": 2048, "tempo": tempo},
        {"sample": 2304, "load": load},
        {"sample": 2304, "latency": 512},
        {"sample": 1900, "cue": "mcp.land", "values": ["a", 1, True]},
    ]
    return list(json.loads(json.dumps(made)))


class Kept:
    """Both of the above, in few words where Hypothesis prints them."""

    def __init__(self, lines: list[dict[str, Any]], loaded: Loaded) -> None:
        self.lines, self.loaded = lines, loaded


@pytest.fixture(scope="module")
def kept(lines: list[dict[str, Any]], loaded: Loaded) -> Kept:
    return Kept(lines, loaded)


def play(folder: Path, lines: list[Any], loaded: Loaded) -> Samples:
    """The replay of these lines over noise, as the command has it. All of its errors are raised."""
    folder.mkdir(exist_ok=True)
    (folder / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    SessionLog(folder).check_input(RATE, 2)

    def source() -> Iterator[Samples]:
        yield audio.noise(BLOCKS * BLOCK, 2)

    return np.concatenate(list(replay(folder, source(), loaded.catalog, loaded.make)), axis=1)


def test_a_log_with_a_line_of_every_kind_is_played(tmp_path: Path, lines: list[Any], loaded: Loaded) -> None:
    y = play(tmp_path / "set", lines, loaded)
    assert y.shape == (2, BLOCKS * BLOCK)
    assert audio.peak(y) > 0.01
    fall = missed_fade_out(BLOCK, 48000)
    np.testing.assert_array_equal(y[:, 1280 : 1280 + fall.size], y[:, 1279:1280] * fall)
    assert not y[:, 1280 + fall.size : 1792].any(), "missed, and too late"


@pytest.mark.parametrize("kind", ["delay", "tremolo", "ringmod", "chorus", "flanger", "pingpong"])
def test_a_set_begun_midway_in_silence_is_played_again_sample_for_sample(
    tmp_path: Path, loaded: Loaded, kind: str
) -> None:
    """Oscillators turn as they did, and a delay that was there is not put in anew."""
    spec = StreamSpec(RATE, BLOCK, 2)
    graph = Graph(
        (NodeSpec("node", kind, {}),), (Wire(End(IN, IN), End("node", "in")), Wire(End("node", "out"), End(OUT, OUT)))
    )
    stage = GraphPlayer(spec)
    stage.load(compile_plan(graph, loaded.catalog, loaded.make, spec, {"node": 3}), 1, 0.0)
    for _ in range(101):
        stage.run(np.zeros((2, BLOCK), np.float32))
    load = {"graph": graph.to_json(), "ids": {"node": 3}, "serial": 1, "fade": 0.0, "tempo": 0.0}
    head = {"session": 2, "rate": RATE, "block": BLOCK, "channels": 2, "device": "cpu", "synth": "auto", "seed": 1}
    log = [head, {"engine": "joined", **stage.state(), "load": load}]
    x = audio.noise(120 * BLOCK, 2)
    live = np.concatenate([stage.run(x[:, n : n + BLOCK].copy()).copy() for n in range(0, x.shape[1], BLOCK)], axis=1)
    (tmp_path / LOG).write_text("".join(json.dumps(line) + "\n" for line in log))
    again = np.concatenate(list(replay(tmp_path, iter([x]), loaded.catalog, loaded.make)), axis=1)
    assert audio.peak(live) > 0.01
    np.testing.assert_array_equal(again, live)


@pytest.mark.parametrize("number", [-(2**53), 2**53, 7])
def test_a_log_with_an_impossible_phase_or_entry_is_played_within_bounds(
    tmp_path: Path, lines: list[Any], loaded: Loaded, number: int
) -> None:
    kinds = ("entry", "turns.0", "rest.0", "turns.9", "turns", "rest.x", "none")
    bad = copy.deepcopy(lines)
    bad[1]["marks"] = [[4, kind, number] for kind in kinds]
    assert audio.peak(play(tmp_path / "set", bad, loaded)) <= 1.0


def test_a_set_begun_while_it_played_says_that_its_replay_may_lack_what_rang_on(
    tmp_path: Path, lines: list[Any], loaded: Loaded
) -> None:
    started = [lines[0], {"engine": "started", "sample": 0, "died": 0, "tempo": lines[1]["tempo"]}, *lines[2:3]]
    for name, some, said in (("midway", lines, [MIDWAY]), ("begun", started, [])):
        (tmp_path / name).mkdir()
        (tmp_path / name / LOG).write_text("".join(json.dumps(line) + "\n" for line in some))
        audio.write(tmp_path / name / INPUT, audio.noise(BLOCKS * BLOCK, 2), RATE)
        complaints: list[str] = []
        with replay_output(tmp_path / name, SessionLog(tmp_path / name), complaints.append) as (frames, _):
            assert frames == BLOCKS * BLOCK
        assert complaints == said


def test_what_cannot_be_is_refused_by_its_line(
    tmp_path: Path, lines: list[Any], loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def answer(change: str) -> str:
        place, path, value = eval(change)
        bad = copy.deepcopy(lines)
        inside = bad[place]
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value
        return accepted.refusal(lambda: play(Path("set"), bad, loaded))

    accepted.compare(__file__, answer)


def test_the_levels_of_the_two_ends_are_played_again(tmp_path: Path, lines: list[Any], loaded: Loaded) -> None:
    others = [line for line in lines[2:] if line.get("node") != OUT_NUMBER]
    quiet = {"sample": 0, "op": "set", "node": OUT_NUMBER, "cell": 3, "number": -60.0}
    y = play(tmp_path / "set", [*lines[:2], quiet, *others], loaded)
    assert not y[:, 1024:1280].any(), "0.02 s later"
    with pytest.raises(FileError, match=re.escape("line 3: it makes no sense (gain takes -60 to 24, not 25)")):
        play(tmp_path / "set", [*lines[:2], {**quiet, "number": 25.0}, *others], loaded)


@pytest.mark.parametrize("key", ["rate", "block", "channels"])
def test_a_header_without_a_key_is_refused(tmp_path: Path, lines: list[Any], loaded: Loaded, key: str) -> None:
    bad = copy.deepcopy(lines)
    del bad[0][key]
    with pytest.raises(FileError, match=rf"line 1: .*the line lacks {key}"):
        play(tmp_path / "set", bad, loaded)


ANY = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.sampled_from([0, -1, 1, 3, 4, 256, 10**9, 10**400, 0.5, 1e300, -1e300, float("nan"), float("inf")])
    | st.text(max_size=6)
    | st.sampled_from([[], {}, [1, 2], [[1, 2, 3, 4]], {"3": []}])
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a line, from the outside in."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@settings(max_examples=60)
@given(data=st.data())
def test_any_mutation_is_played_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, kept: Kept, data: st.DataObject
) -> None:
    bad = copy.deepcopy(kept.lines)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(bad) - 1))
        where = data.draw(st.sampled_from(list(places(bad[at])) or [()]))
        inside: Any = bad[at]
        for key in where[:-1]:
            inside = inside[key]
        if where and data.draw(st.booleans()):
            inside[where[-1]] = copy.deepcopy(data.draw(ANY))  # a later mutation may go into it
        elif where:
            del inside[where[-1]]
    folder = tmp_path_factory.mktemp("sets")
    try:
        y = play(folder, bad, kept.loaded)
    except FileError as error:
        assert re.search(r", line \d+: |first line must say|line 1 of", str(error)), error  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert np.isfinite(y).all()


def test_a_set_is_found_by_its_name(tmp_path: Path, antiphon_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = antiphon_home / "data" / "sessions" / "tonight"
    kept.mkdir(parents=True)
    (kept / LOG).write_text("{}\n")
    assert session_folder("tonight") == kept
    assert session_folder("elsewhere") == Path("elsewhere")
    (tmp_path / "tonight").mkdir()
    assert session_folder("tonight") == Path("tonight"), "what is here goes first"


def test_log_of_earlier_version_replays_to_same_samples(tmp_path: Path) -> None:
    """A server recorded it, with all kinds of events, before they were one record."""
    (tmp_path / LOG).write_bytes(Path(__file__).with_name("events.jsonl").read_bytes())
    silence = (np.zeros((2, BLOCK), np.float32) for _ in range(127))
    y = np.concatenate(list(replay(tmp_path, silence, CATALOG, make)), axis=1)
    assert np.count_nonzero(y[0]) == 16
    steps = np.round(y * 1e4).astype(np.int32)
    assert sha256(steps.tobytes()).hexdigest() == "f7e0bd97ea46a24670d0b675dfc27bc222bbe609ab39a8410cd4607edc7e5c72"
