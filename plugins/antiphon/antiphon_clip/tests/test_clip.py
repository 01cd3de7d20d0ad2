"""Clips are recorded and played as they should, on a control process without sound."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import accepted
from tests.control.rig import CATALOG, Client, Rig, refusal, rig
from tests.control.test_play import DRUMS

import antiphon_clip
from antiphon.api.backends.transports import AddressList, EngineEffect
from antiphon.kernel.contract.catalog import ProcessorInfo, TransportInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_OUT, EVENTS_IN
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.engine.link import NodeVocabulary
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph.clips import MAX_CLIP_TEXT, PatchClip, clip_room
from antiphon.kernel.graph.patch import dump, parse
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.commands import Panic, Play
from antiphon_clip.launcher import Launcher, _open


class ClipRig:
    """Control with clips, and a client."""

    def __init__(self, live: Rig, client: Client) -> None:
        self.live, self.client = live, client
        self.effects: list[EngineEffect] = []
        live.app.outbox.tap(self.effects.append)
        self.launcher: Launcher = next(one for one in _open if one.server.folder == live.app.folder.folder)

    async def at(self, beat: float, *words: Any) -> list[tuple[str, tuple[Any, ...]]]:
        """Moves the beat, lets the clips play, and sends a message."""
        self.live.engine.beat = beat
        with self.launcher.server.turn():
            self.launcher.step()
        return await self.client.ask(*words) if words else await self.client.ask("/clip/list")

    async def events(self, name: str = "riff") -> list[str]:
        ((_, words),) = await self.client.ask("/clip/get", name)
        return list(words[3:])

    async def state(self) -> tuple[Any, ...]:
        ((_, words),) = await self.client.ask("/clip/list")
        return words

    def sent(self) -> list[tuple[float, str, int]]:
        """Beat, kind and note of what was sent to the engine for a beat since the last call."""
        notes = [one for one in self.effects if isinstance(one, Play) and one.event.kind in ("on", "off")]
        found = [(one.when.b, one.event.kind, one.event.number) for one in notes]  # type: ignore[union-attr]
        self.effects.clear()
        return found


NAMED = ProcessorInfo("named", "Plays.", "test", (EVENTS_IN,), (AUDIO_OUT,), (Param("play", "trigger", False),))
READER = ProcessorInfo("reader", "Reads.", "test", (), (AUDIO_OUT,), (Param("file", "file", ""),))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClipRig]:
    osc = AddressList("antiphon_clip")
    antiphon_clip.antiphon_addresses(osc)
    catalog = replace(
        CATALOG,
        types={**CATALOG.types, "drums": DRUMS, "reader": READER, "named": NAMED},
        addresses=tuple(info for info, _ in osc.added),
        hooks={"antiphon_clip": ("antiphon_addresses", "antiphon_transports")},
        transports=(TransportInfo("clip", "", "antiphon_clip"),),
    )
    async with rig(tmp_path / "state", catalog=catalog) as made:
        await ServerHooks(catalog, ServeSettings(), fresh=True).start(made.app)
        client = made.client()
        await client.ask("/node/add", "drums", "d")
        made.engine.say(NodeVocabulary(made.app.session.state.nodes["d"].id, {"s": ("bd", "808")}))
        made.engine.bpm = 60.0
        await client.ask("/ping")
        made.engine.applied.clear()
        yield ClipRig(made, client)


@pytest.mark.parametrize(
    ("options", "played", "kept"),
    [
        (
            (0.5,),
            [
                (3.8, "/note/on", 60, 100), (4.3, "/note/off", 60), (4.7, "/note/on", 62, 0.004, "d"),
                (4.9, "/note/on", 62, 1.0), (5.1, "/note/off", 62),
                (7.4, "/note/on", 64, 64, 2), (7.76, "/note/on", 7, 9),
            ],
            [
                "0 /note/on 60 100 1 d", "0 /note/on 7 9 1 d", "0.5 /note/off 60 0 1 d", "0.5 /note/off 7 0 1 d",
                "0.5 /note/on 62 1 1 d", "1 /note/off 62 0 1 d",
                "1 /note/on 62 127 1 d", "1.2 /note/off 62 0 1 d", "3.5 /note/on 64 64 2 d", "4 /note/off 64 0 2 d",
            ],
        ),
        (
            (),
            [
                (3.9, "/note/on", 1, 1), (4.25, "/node/d/play", "s", "808", "n", 3, "mode", "equal", "loop", 1),
                (4.3, "/node/d/play", "s", "gone"), (4.5, "/cc", 64, 1), (4.55, "/cc", 103, 1),
                (4.6, "/bend", -0.5), (4.7, "/note/pitch", 60, 0.25),
                (5.0, "/node/a/gain", 0.75), (5.5, "/at", 5.6, "/note/on", 3, 3),
            ],
            [
                '0.25 /node/d/play s "808" n 3 mode equal loop 1 velocity 127',
                "0.5 /cc 64 1 1 d", "0.55 /cc 103 1 1 d", "0.6 /bend -0.5 1 d",
                "0.7 /note/pitch 60 0.25 1 d",
            ],
        ),
        (
            (0.0, "knobs", "a", "b"),
            [
                (4.0, "/note/on", 60, 100), (4.5, "/node/a/gain", 0.75), (4.75, "/node/a/mode", "wavelet"),
                (5.25, "/node/b/steps", 4), (5.5, "/node/b/learn"), (6.0, "/node/a/cutoff", 200, 1.5),
                (6.5, "/node/out/gain", -6),
            ],
            [
                "0.5 /node/a/gain 0.75", "0.75 /node/a/mode wavelet", "1.25 /node/b/steps 4", "1.5 /node/b/learn 1",
                "2 /node/a/cutoff 200 1.5",
            ],
        ),
    ],
)  # fmt: skip
async def test_a_take_keeps_what_is_played_by_hand(
    stage: ClipRig, options: tuple[Any, ...], played: list[tuple[Any, ...]], kept: list[str]
) -> None:
    await stage.at(1.5, "/clip/record", "riff", 1, *options)
    assert await stage.state() == ("riff", "armed", 4.0, 4.0, 0)
    for beat, *words in played:
        await stage.at(beat, *words)
    answers = [one for one in await stage.at(8.5) + await stage.at(8.6) if one[0] == "/done"]
    lost = sum("gone" in words for words in played)
    assert answers == [("/done", ("/clip/record", "riff", len(kept), lost))]
    assert await stage.events() == kept
    assert await stage.state() == ("riff", "playing", 8.0, 4.0, 0), "it goes on in a loop"


async def test_a_clip_begins_and_ends_on_the_bar_each_event_once_and_no_note_hangs(stage: ClipRig) -> None:
    events = "0 /note/on 60 100", "0.5 /note/off 60 0", "3 /note/on 62 100", "4.5 /note/off 62 0"
    await stage.client.ask("/clip/put", "riff", 4.0, 1, *events[:3])
    await stage.client.ask("/clip/put", "other", 2.0, 5, "1 /note/on 40 1", "1.25 /note/off 40 0")
    await stage.at(1.0, "/clip/play", "riff")
    assert stage.sent() == []
    assert (await stage.state())[:3] == ("riff", "queued", 4.0)
    for beat in np.arange(1.0, 9.7, 0.21):
        await stage.at(float(beat))
    on, off = ("on", 60), ("off", 60)
    assert stage.sent() == [(4.0, *on), (4.5, *off), (7.0, "on", 62), (8.0, *on), (8.5, *off)]
    await stage.at(9.7, "/clip/play", "other")
    assert (await stage.state())[:3] == ("riff", "ending", 12.0), "of a column one plays"
    for beat in np.arange(9.8, 14.1, 0.21):
        await stage.at(float(beat))
    assert stage.sent() == [(11.0, "on", 62), (12.0, "off", 62), (13.0, "on", 40), (13.25, "off", 40)]
    await stage.at(14.2, "/clip/delete", "other")
    await stage.at(14.3)
    assert (await stage.state())[:2] == ("riff", "stopped")
    await stage.at(14.4, "/patch/undo")
    assert (await stage.state())[5:7] == ("other", "stopped")


async def test_a_take_that_is_stopped_ends_on_the_bar_and_what_does_not_fit_is_counted(stage: ClipRig) -> None:
    await stage.at(1.5, "/clip/record", "riff", 8)
    assert await stage.at(1.6, "/clip/record", "two", 1) == [
        ("/fail", ("/clip/record", "riff is being recorded; /clip/stop riff ends that"))
    ]
    stage.launcher.take.most = 4  # type: ignore[union-attr]
    for n in range(5):
        await stage.at(4.0 + n, "/note/on", 60 + n, 100)
    await stage.at(10.0, "/clip/stop", "riff")
    answers = await stage.at(12.5)
    assert ("/done", ("/clip/record", "riff", 4, 3)) in answers
    assert await stage.state() == ("riff", "stopped", 0.0, 8.0, 0)
    await stage.at(14.0, "/clip/play", "riff")
    await stage.at(17.0)
    await stage.at(19.7)
    await stage.at(19.7, "/clip/stop", "riff")
    assert await stage.state() == ("riff", "ending", 24.0, 8.0, 0), "what follows the next bar line was sent"


@pytest.mark.parametrize(("taken", "place"), [(15, 15), (16, -1)])
async def test_a_take_has_a_free_place_or_a_sentence(stage: ClipRig, taken: int, place: int) -> None:
    for n in range(taken):
        await stage.client.ask("/clip/put", f"c{n}", 4.0, n, "0 /note/on 60 100")
    await stage.client.ask("/clip/put", "riff", 4.0, -1, "0 /note/on 60 100")
    await stage.at(1.5, "/clip/record", "riff", 1)
    await stage.at(4.0, "/note/on", 61, 100)
    answers = await stage.at(8.5) + await stage.at(8.6)
    assert stage.launcher.server.clips()["riff"].place == place
    remarks = [args[1] for address, args in answers if address == "/remark"]
    assert [one.partition(",")[0] for one in remarks] == ["the grid is full"] * (place < 0)


async def test_what_cannot_be_played_is_counted_and_a_panic_ends_all(stage: ClipRig) -> None:
    await stage.client.ask("/node/add", "reader", "r")
    events = "0 /node/r/file a.wav", "1 /note/on 60 1 gone", "2 /note/on 60 1"
    stage.launcher.server.keep_clips({"riff": PatchClip(4.0, events, 0)}, "")  # as of a patch's file
    await stage.at(3.5, "/clip/play", "riff")
    await stage.at(4.5)
    assert (stage.launcher.dropped, stage.launcher.reason) == (1, "/node/r/file a clip chooses no file")
    await stage.at(5.5)
    await stage.at(5.7)
    assert stage.launcher.dropped == 2
    assert "there is no node 'gone'" in stage.launcher.reason
    assert stage.sent() == [(6.0, "on", 60)]
    await stage.at(5.8, "/clip/record", "two", 1)
    await stage.at(8.5, "/note/on", 64, 100)
    await stage.at(8.6, "/panic")
    await stage.at(8.7)
    assert await stage.state() == ("riff", "stopped", 0.0, 4.0, 0, "two", "stopped", 0.0, 4.0, 1)


async def test_what_cannot_be_is_one_sentence(stage: ClipRig) -> None:
    async def answer(line: str) -> str:
        said = await refusal(stage.client, line)
        assert await stage.state() == ()
        return said

    await accepted.compare_async(__file__, answer)


def test_a_patch_keeps_clips() -> None:
    text = (
        'format = 1\n[clips.riff]\nbeats = 8\nevents = ["0 /note/on 60 100", \'1 /node/d/play s "808"\']\nplace = 3\n'
    )
    patch = parse(text, CATALOG)
    assert parse(dump(patch), CATALOG).clips == patch.clips
    assert patch.clips["riff"].messages() == [(0.0, "/note/on", (60, 100)), (1.0, "/node/d/play", ("s", "808"))]
    with pytest.raises(PatchError, match=r"patch, line 2, 'clips.riff': an event of a clip is a beat and a message"):
        parse(text.replace("/note/on", "/patch/load"), CATALOG)
    with pytest.raises(PatchError, match=r"patch, line 3, 'clips.riff.beats': takes a number"):
        parse(text.replace("8\nev", '"8"\nev'), CATALOG)


async def test_a_note_with_values_by_name_is_kept_as_one_and_ends_with_its_clip(stage: ClipRig) -> None:
    await stage.client.ask("/node/add", "named", "k")
    number = stage.live.app.session.state.nodes["k"].id
    stage.live.engine.say(NodeVocabulary(number, {"play": ("cutoff",)}))
    await stage.at(1.5, "/clip/record", "riff", 1, 0.0, "k")
    await stage.at(4.25, "/node/k/play", "length", 0, "cutoff", 800.25, "note", 62)
    await stage.at(5.25, "/note/off", 62, 0, 1, "k")
    await stage.at(5.5, "/node/k/play", "length", 0, "other", 1, "note", 62)
    await stage.at(7.0, "/node/k/play", "length", 0, "cutoff", -0.1)
    assert ("/done", ("/clip/record", "riff", 4, 1)) in await stage.at(8.5) + await stage.at(8.6)
    assert await stage.events() == [
        "0.25 /node/k/play length 0 cutoff 800.25 note 62 velocity 127", "1.25 /note/off 62 0 1 k",
        "3 /node/k/play length 0 cutoff -0.100000001 velocity 127", "4 /note/off 60 0 1 k",
    ]  # fmt: skip
    stage.effects.clear()
    await stage.at(11.8, "/clip/stop")
    for beat in (12.0, 15.5, 16.1):
        await stage.at(beat)
    assert stage.sent()[-2:] == [(15.0, "on", 60), (16.0, "off", 60)]


async def test_a_fault_of_a_take_keeps_no_note_and_no_panic_from_the_engine(
    stage: ClipRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise RequestError("there is no room")

    await stage.at(1.5, "/clip/record", "riff", 1)
    await stage.at(4.5, "/note/on", 60, 100)
    monkeypatch.setattr(stage.launcher.server, "keep_clips", refused)
    assert ("/fail", ("/clip/record", "there is no room")) in await stage.at(4.6, "/panic")
    assert sum(isinstance(one, Panic) for one in stage.effects) == 1
    assert stage.live.app.counts()["faults"] == 0
    await stage.at(5.0, "/clip/record", "riff", 1)
    monkeypatch.setattr(type(stage.launcher.take), "effect", refused)
    stage.effects.clear()
    await stage.at(5.1, "/note/on", 60, 100)
    assert [one.event.kind for one in stage.effects if isinstance(one, Play)] == ["on"]
    assert stage.live.app.counts()["faults"] == 1


async def test_a_clip_plays_until_it_is_recorded_over_and_a_take_replaces_its_column(stage: ClipRig) -> None:
    await stage.client.ask("/clip/put", "riff", 4.0, 0, "1 /note/on 60 1", "2 /note/off 60 0")
    await stage.client.ask("/clip/put", "other", 1.0, 4, "0 /note/on 40 1", "0.5 /note/off 40 0")
    await stage.at(3.5, "/clip/play", "riff")
    await stage.at(4.2, "/clip/record", "riff", 1)
    for beat in (5.0, 6.0, 7.0):
        await stage.at(beat)
    assert stage.sent() == [(5.0, "on", 60), (6.0, "off", 60)]
    await stage.at(7.5, "/clip/play", "other")
    for beat in (9.0, 11.0, 11.5, 11.7, 12.0, 12.2, 13.0):
        await stage.at(beat)
    assert [beat for beat, kind, note in stage.sent() if (kind, note) == ("on", 40)] == [8.0, 9.0, 10.0, 11.0]
    assert (await stage.state())[5:7] == ("other", "stopped")


async def test_clips_of_a_killed_control_play_on_and_hold_no_note(stage: ClipRig) -> None:
    await stage.client.ask("/clip/put", "riff", 4.0, 0, "0 /note/on 60 1", "1 /note/on 62 1", "3 /note/off 60 0")
    await stage.at(3.5, "/clip/play", "riff")
    await stage.at(4.0)
    assert stage.sent() == [(4.0, "on", 60)]
    app = stage.live.app
    _open.remove(stage.launcher)
    stage.launcher = Launcher(app.transports.host("clip", ServeSettings(), fresh=False))
    stage.launcher.install()
    for beat in (5.5, 7.8):
        await stage.at(beat)
    assert stage.sent() == [(5.5, "off", 60), (7.0, "off", 60), (8.0, "on", 60)]
    assert (await stage.at(8.5, "/clip/list"))[0][1][:3] == ("riff", "playing", 4.0)
    await stage.client.ask("/panic")
    after = Launcher(app.transports.host("clip", ServeSettings(), fresh=False))
    after.install()
    assert after.runs == []
    _open.remove(after)
    _open.remove(stage.launcher)


async def test_a_take_goes_on_after_a_killed_control(stage: ClipRig) -> None:
    async def restart() -> None:
        _open.remove(stage.launcher)
        stage.launcher.take = None
        stage.launcher = Launcher(stage.live.app.transports.host("clip", ServeSettings(), fresh=False))
        stage.launcher.install()
        stage.effects.clear()

    await stage.at(1.5, "/clip/record", "riff", 1, 0.5, "knobs")
    await stage.at(4.0, "/note/on", 60, 100, 1, "d")
    await stage.at(4.5, "/node/a/gain", 0.75)
    await stage.at(5.1, "/note/off", 60, 0, 1, "d")
    await stage.at(5.5, "/note/on", 64, 100, 1, "d")
    await stage.at(5.6)
    await restart()
    assert await stage.state() == ("riff", "recording", 4.0, 4.0, 0)
    await stage.at(6.6, "/note/off", 64, 0, 1, "d")
    await stage.at(7.8, "/note/on", 62, 64, 1, "d")
    await stage.at(7.85)
    await restart()
    await stage.at(8.1)
    assert stage.sent() == [(8.2, "off", 60)], "what sounds ends, and nothing is played late"
    await stage.at(8.6)
    assert await stage.events() == [
        "0 /note/on 60 100 1 d", "0 /note/on 62 64 1 d", "0.5 /note/off 62 0 1 d", "0.5 /node/a/gain 0.75",
        "1.1 /note/off 60 0 1 d", "1.5 /note/on 64 100 1 d", "2.6 /note/off 64 0 1 d",
    ]  # fmt: skip
    await stage.at(8.7)
    await restart()
    assert stage.launcher.take is None


async def test_what_ends_is_not_in_the_way_and_the_beat_brings_nothing_back(stage: ClipRig) -> None:
    await stage.client.ask("/clip/put", "riff", 4.0, 0, "0 /note/on 60 1 1 d", "4 /note/off 60 0 1 d")
    await stage.client.ask("/clip/put", "once", 0.0, 1, "0 /note/on 50 1", "3 /note/off 50 0")
    await stage.client.ask("/clip/play", "once")
    await stage.at(3.5, "/clip/play", "riff")
    await stage.at(3.9)
    await stage.at(4.5, "/clip/stop", "riff")
    assert await stage.at(7.7, "/clip/play", "riff") == []
    assert (await stage.state())[1:3] == ("queued", 8.0)
    await stage.at(8.2, "/clip/play", "once")
    for beat in (12.0, 12.2):
        await stage.at(beat)
    await stage.client.ask("/clip/stop", "riff")
    await stage.client.ask("/node/delete", "d")
    await stage.client.ask("/beat", 101.0)
    await stage.at(101.0)
    assert (await stage.state())[:3] == ("riff", "ending", 104.0)
    assert (await stage.state())[5:7] == ("once", "stopped")
    await stage.at(104.1)
    assert [run.name for run in stage.launcher.runs] == []
    assert stage.live.app.counts()["faults"] == 0


def test_a_clip_has_room_and_its_texts_come_back_as_they_are() -> None:
    with pytest.raises(RequestError, match="a text of a clip has no quotation mark"):
        PatchClip.of(1.0, [(0.0, "/node/a/text", ('say "so"',))])
    for event in ('0 /node/a/text "so', '0 /node/a/text a"b c"'):
        with pytest.raises(RequestError, match="an event of a clip is"):
            PatchClip(1.0, (event,)).messages()
    full = {"a": PatchClip(1.0, ("x" * (MAX_CLIP_TEXT - 199),))}
    with pytest.raises(RequestError, match="a patch holds 64 clips of 131072 characters"):
        clip_room({"a": PatchClip(1.0, ("0 /cc 1 1" + " " * 190,) * 658)}, "b")
    assert clip_room(full, "a") == 655
