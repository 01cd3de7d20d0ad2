"""Verdicts of the stage process, each right by construction: mutations of a set of known faults."""

import base64
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api.backends.runtime import Child, spawn
from antiphon.files.sound_picture import HEIGHT, KEYS

pytestmark = pytest.mark.slow
SET = """\
from antiphon.live import *\n
patch("band")
tempo(240)
track("beat", s("bd*4", gain=0.5))
track("line", note("a3 c4 e4 g4"), on="pluck")
"""
OWN = {
    "patch": "Mine",
    "nodes": [
        {"name": "drums", "type": "sampler", "values": {}},
        {"name": "out", "type": "out", "values": {"gain": 24}},
    ],
    "wires": [["drums.out", "out.out"]],
    "macros": {"up": ["drums.level", -40, 0]},
    "scenes": {"3": {"drums.level": 0}},
}
"""A patch that no file has, with the master volume far up."""


class RehearsalRig:
    """The process, asked for verdicts on changes of `SET`, which plays."""

    def __init__(self, process: Child) -> None:
        self._process = process

    def judge(self, text: str, input: str = "", **more: object) -> dict[str, object]:
        trial = {"text": text, "name": "page.py", "before": SET, "beat": 8.0, "tempo": 240.0, "graph": None}
        trial |= {"lines": [], "locked": [], "bars": 1, **more}
        self._process.send({"do": "rehearse", "patch": "band", "trial": trial, "input": input})
        answer = self._process.receive(silence=240.0)[0]
        if "fault" in answer:
            return {"ok": False, "why": [answer["fault"]]}
        assert base64.b64decode(str(answer["picture"])).startswith(b"\x89PNG")
        verdict: dict[str, object] = answer["verdict"]
        return verdict


@pytest.fixture(scope="module")
def stage() -> Iterator[RehearsalRig]:
    with spawn("antiphon_mcp.stage:main") as process:
        yield RehearsalRig(process)


def changed(old: str, new: str) -> str:
    assert old in SET
    return SET.replace(old, new)


PLAIN = 'from antiphon.live import *\ntrack("beat", s("bd*4", gain=0.5), on="drums")\n'
QUIET = 'from antiphon.live import *\npatch("band")\ntrack("a", silence)\n'
ANOTHER = 'from antiphon.live import *\npatch("keys")\ntrack("a", note("c4 e4"))\n'
FAULTY = 'node("mix").nothing = "<0 -1>"\n'
"""A value that the patch has not, without which the rest of a set plays on."""
LOUD = '{"beat": 0, "address": "/node/out/gain", "args": [24]}'
SCENE = '{"beat": 0, "address": "/scene/recall", "args": [3]}'
NOWHERE = '{"beat": 0, "address": "/node/nowhere/gain", "args": [0]}'
LOOP = '\n@loop\ndef many():\n    for _ in range({}):\n        play("c4", 1, on="pluck")\n    yield 1\n'


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        (changed("a3 c4 e4 g4", "e4 c4 a3 g4"), {}, ""),
        (changed("bd*4", "bd*4 ["), {}, "line 5"),
        (changed("track(", "trak("), {}, "line 5"),
        (SET + "while True:\n    pass\n", {}, "line 7: it runs without end"),
        (SET + "raise RuntimeError('\N{SNOWMAN}')\n", {}, "line 7"),
        (SET + "raise SystemExit\n", {}, "line 7"),
        (SET + "big = [0] * (1 << 30)\n", {}, "line 7"),
        (SET + LOOP.format(10_000), {}, "more than 8192 events a beat"),
        (SET + LOOP.format(600), {}, "notes begin within a beat, of at most 512"),
        (changed('on="pluck"', 'on="nowhere"'), {}, "nowhere"),
        (changed('patch("band")', 'patch("nowhere")'), {}, "line 3"),
        (SET + "hush()\n", {"bars": 4}, "silent for"),
        (QUIET, {"before": QUIET}, "it is silent"),
        (SET.replace("bd*4", "<bd*4 [bd*8,bd*8]>").replace("gain=0.5", "gain='<0.5 4>'"), {"beat": 3, "bars": 2}, "LU"),
        (SET, {"lines": [LOUD]}, "beyond full scale"),
        (SET, {"lines": [NOWHERE]}, "nowhere"),
        (PLAIN, {"before": PLAIN, "graph": OWN}, "beyond full scale"),
        (PLAIN, {"before": PLAIN, "graph": OWN, "lines": [SCENE]}, "beyond full scale"),
        (PLAIN, {"before": PLAIN, "graph": OWN, "lines": [SCENE.replace("3", "4")]}, "no scene 4; there are: 3"),
        (PLAIN, {"before": PLAIN}, "it names no patch"),
        (PLAIN + 'patch("/else/mine.toml")\n', {"before": PLAIN, "graph": OWN}, "beyond full scale"),
        (changed("band", "/else/band.toml"), {"graph": OWN}, "is not a name but a path"),
        (ANOTHER, {"graph": OWN}, "beyond full scale"),
        (SET, {"before": SET + FAULTY}, ""),
        (SET + FAULTY, {"before": SET + FAULTY, "lines": [SCENE.replace("3", "1")]}, ""),
        (SET + FAULTY, {}, "no parameter 'nothing'"),
        (changed("bd*4", "bd*2"), {"locked": ["beat"]}, "beat, which the performer has locked"),
        (changed("a3 c4", "g3 c4"), {"locked": ["beat"]}, ""),
        (changed("gain=0.5", "gain=4").replace("a3 c4 e4 g4", "[a1,a3,c4,e4]*8"), {"bars": 2}, "loudness changes by"),
    ],
)  # fmt: skip
def test_a_verdict_is_right_by_construction(stage: RehearsalRig, text: str, more: dict[str, object], why: str) -> None:
    verdict = stage.judge(text, **more)
    assert verdict["ok"] is (not why), verdict
    assert why in " ".join(map(str, verdict["why"])), verdict  # type: ignore[call-overload]


def test_what_the_script_set_at_its_beginning_is_not_set_again(stage: RehearsalRig) -> None:
    text = PLAIN + 'node("drums").level = 0\n'
    bars = []
    for level in (-10.0, -40.0):
        drums = {"name": "drums", "type": "sampler", "values": {"level": level}}
        graph = OWN | {"nodes": [drums, {"name": "out", "type": "out", "values": {}}]}
        verdict = stage.judge(text, before=text, graph=graph)
        assert verdict["ok"], verdict
        bars.append(verdict["bars"][0])  # type: ignore[index]
    assert bars[0] - bars[1] == pytest.approx(30.0, abs=1.0)


def test_what_the_change_alone_sets_is_told(stage: RehearsalRig) -> None:
    moving = PLAIN + 'node("drums").level = "<-10 -12>"\n'
    drums = {**OWN, "nodes": [OWN["nodes"][0], {"name": "out", "type": "out", "values": {}}]}
    verdict = stage.judge(moving + "tempo(250)\nnode('drums').pan = 0.4\n", before=moving, graph=drums)
    assert verdict["sets"] == ["/node/drums/pan", "/tempo"], verdict


@pytest.mark.parametrize(
    "sets",
    [
        'node("drums").level = "<-10 -12>/16"\n',
        '@loop\ndef l():\n    my = memory(k=0)\n    node("drums").level = -10 - my.k\n    my.k += 1\n    yield 64\n',
    ],
)
def test_an_undo_leaves_to_what_plays_what_it_sets_at_other_beats(stage: RehearsalRig, sets: str) -> None:
    drums = {**OWN, "nodes": [OWN["nodes"][0], {"name": "out", "type": "out", "values": {}}]}
    new = PLAIN + 'node("drums").level = "<-20 -22>"\nnode("drums").pan = 0.4\n'
    verdict = stage.judge(new, before=PLAIN + sets, beat=24.0, graph=drums)
    assert verdict["sets"] == ["/node/drums/pan"], verdict


def test_notes_out_of_the_key_are_a_remark(stage: RehearsalRig) -> None:
    verdict = stage.judge(changed("a3 c4 e4 g4", "a3 c#4 e4 g4"))
    assert verdict["ok"]
    assert "c#" in str(verdict["remarks"])


def test_no_mutation_of_a_set_ends_or_hangs_the_process(stage: RehearsalRig) -> None:
    chance = random.Random(7)
    broken = 0
    for _ in range(10):
        letters = list(SET)
        for _ in range(chance.randint(1, 3)):
            letters[chance.randrange(50, len(letters))] = chance.choice('x()"[]*<>~\n\N{SNOWMAN}\0 9')
        verdict = stage.judge("".join(letters))
        broken += not verdict["ok"]
        assert verdict["ok"] or verdict["why"]
    assert broken > 0
    assert stage.judge(SET)["ok"]


def tones(path: Path, rate: int = 48000) -> Path:
    """Two seconds: an a and an e with their partials, half a second each, and silence after each."""
    time = np.arange(rate // 2) / rate
    fade = np.minimum(1.0, np.minimum(time, time[::-1]) * 50.0)
    played = [fade * sum(0.2 / k * np.sin(2 * np.pi * k * hertz * time) for k in range(1, 6)) for hertz in (220, 330)]
    gap = np.zeros(rate // 2)
    soundfile.write(path, np.concatenate([played[0], gap, played[1], gap]).astype(np.float32), rate, "FLOAT")
    return path


@pytest.mark.needs("hum")
def test_what_is_heard_has_the_notes_of_hum_and_a_piano_roll(stage: RehearsalRig, tmp_path: Path) -> None:
    stage._process.send({"do": "hear", "path": str(tones(tmp_path / "heard.wav"))})
    answer = stage._process.receive(silence=240.0)[0]
    notes = answer["heard"]["notes"]
    assert [note[2] for note in notes] == [57, 64]
    assert [note[0] for note in notes] == pytest.approx([0.0, 1.0], abs=0.1)
    assert int.from_bytes(base64.b64decode(answer["picture"])[20:24], "big") == HEIGHT + 1 + KEYS


@pytest.mark.parametrize(("rate", "heard"), [(48000, True), (44100, False)])
def test_a_rehearsal_hears_what_came_in_lately(stage: RehearsalRig, tmp_path: Path, rate: int, heard: bool) -> None:
    out = {"name": "out", "type": "out", "values": {}}
    graph = {**OWN, "nodes": [*OWN["nodes"][:1], out], "wires": [["in.in", "out.out"]]}
    path = str(tones(tmp_path / "in.wav", rate))
    verdict = stage.judge(PLAIN, before=PLAIN, graph=graph, input=path)
    assert (verdict["ok"], max(verdict.get("bars", [-99.0])) > -40.0) == (heard, heard), verdict  # type: ignore[call-overload]
