"""Notes as scsynth gets them, by the SynthDefs that ship and by others: frames, groups, doors, places."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from antiphon.api import PEDAL, Event, Param
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import FIRST_DIAL, SynthSettings
from antiphon.kernel.session import play
from antiphon.kernel.session.commands import Now
from antiphon_supercollider import offline
from antiphon_supercollider.offline import TOLD
from antiphon_supercollider.voices.material import VoiceAssets, load
from antiphon_supercollider.voices.own import PLACES, OwnPlayer
from antiphon_supercollider.voices.players import NodeVoices, VoicePlace, kit

FOLDER = Path(__file__).parent / "synthdefs" / "own" / "compiled"
OWN_FRAME = (3 << 24) + 100


class PlayedDefinition:
    def __init__(self, name: str, buffer: int = -1, **given: object) -> None:
        path = FOLDER / f"{name}.scsyndef"
        settings = SynthSettings(synthdef=str(path), **given)  # type: ignore[arg-type]
        self.player = OwnPlayer(
            settings, VoicePlace(48000, 10, 2, 18, count(1000)), VoiceAssets(load(path), buffer, 1), 40, 64
        )
        self.begun: list[int] = []

    def play(self, *events: Event) -> list[list[osc.Arg]]:
        said: list[list[osc.Arg]] = []

        def hear(node: int, packet: bytes) -> None:
            message = osc.decode(packet)
            assert isinstance(message, osc.Message)
            if node:
                self.begun.append(node)
            said.append([message.address.decode(), *message.args])  # type: ignore[list-item]

        self.player.play(events, OWN_FRAME, OWN_FRAME - 768, hear)
        return said


def controls(message: list[osc.Arg], first: int) -> dict[str, float]:
    return dict(zip(message[first::2], message[first + 1 :: 2], strict=True))  # type: ignore[arg-type]


def test_a_render_is_done_when_each_track_is_told_the_same_in_whatever_order(tmp_path, monkeypatch):
    for name in ("render", "use_backend"):
        monkeypatch.setattr(offline, name, lambda *_: None)
    opened = [{"track": n, "settings": SynthSettings().to_json()} for n in (0, 1)]
    told = [{"track": n, "sample": 256, "event": ["on", 7, 60 + n, 0.5, 0, 0]} for n in (0, 1)]
    turns, done = offline.OfflineTurns(tmp_path, 0), []
    for turn, events in enumerate((told, told[:1], told[::-1], told)):
        lines = map(json.dumps, [*opened, *events])
        (tmp_path / TOLD.format(turn)).write_text("\n".join(lines), "utf-8")
        done.append(turns.done(1024, 48000))
    assert done == [False, False, False, True]


def test_a_voice_is_a_group_that_stands_still_until_all_of_it_is_there():
    told = PlayedDefinition("blip", controls="release=0.5")
    held, group, still, new, mapped, paused, door, run = told.play(Event("on", 7, 69, 0.5))
    assert told.begun == [1001]
    assert group == ["/g_new", 1000, 1, 10]
    assert (still, run) == (["/n_run", 1000, 0], ["/n_run", 1000, 1])
    assert new[2:5] == [1001, 0, 1000]
    assert controls(new, 5) == {"out": controls(door, 5)["door_in"], "freq": 440.0, "amp": 0.5, "release": 0.5}
    assert mapped == ["/n_map", 1001, "gate", held[1]]
    assert paused == ["/n_run", 1001, 0]
    given = controls(door, 5)
    assert door[1:5] == ["antiphon_door", 1002, 1, 1000]
    assert (given["door_start_high"], given["door_start"]) == (3.0, 107.0)
    assert (given["door_voice"], given["door_group"], given["door_out"], given["door_mono"]) == (1001, 1000, 2, 0)


def test_the_door_is_told_of_the_end_and_the_level():
    told = PlayedDefinition("blip")
    told.play(Event("on", 0, 60, 0.5))
    assert told.play(Event("off", 9, 60)) == [["/n_set", 1002, "door_stop", 109.0, "door_stop_high", 3.0]]
    ((address, node, name, value),) = told.play(Event("control", 0, 7, 0.5))
    assert (address, node, name) == ("/n_set", 1002, "door_gain")
    assert value == pytest.approx(-12.04, abs=0.01)
    ((_, node, name, hz),) = told.play(Event("bend", 0, 0, 1.0))
    assert (node, name) == (1001, "freq")
    assert hz == pytest.approx(293.66, abs=0.01)


def test_a_notes_own_pitch_and_pressure_reach_the_definition_and_the_door():
    told = PlayedDefinition("blip")
    told.play(Event("pitch", 0, 60, 2.0), Event("on", 0, 60, 0.5), Event("on", 0, 64, 0.5))
    ((_, node, name, hz),) = told.play(Event("pitch", 0, 60, 12.0))
    assert (node, name) == (1001, "freq")
    assert hz == pytest.approx(523.25, abs=0.01)
    ((_, node, name, level),) = told.play(Event("pressure", 0, 64, 1.0))
    assert (node, name) == (1005, "door_gain")
    assert level == pytest.approx(6.02, abs=0.01)


def test_a_note_played_by_hand_waits_for_nothing_and_one_without_a_gate_for_no_end():
    told = PlayedDefinition("tick")
    said = told.play(Event("on", 0, 60, 0.5, live=True))
    assert ["/n_run", 1001, 0] not in said
    assert controls(said[-2], 5)["door_start"] == -1.0
    assert controls(said[-2], 5)["door_mono"] == 1.0
    assert not any(message[0] == "/n_map" for message in said)
    assert told.play(Event("off", 0, 60)) == []


def test_a_dial_is_for_what_sounds_and_what_comes():
    told = PlayedDefinition("tape", buffer=5, controls="rate=1:3 amp=0:1")
    assert told.play(Event("control", 0, FIRST_DIAL, 0.5)) == [["/n_set", 10, "rate", 2.0]]
    new = next(m for m in told.play(Event("on", 0, 60, 0.5)) if m[0] == "/s_new")
    assert controls(new, 5)["rate"] == 2.0
    assert controls(new, 5)["buffer"] == 5.0
    assert controls(new, 5)["amp"] == 0.0
    told.player.forget()
    new = next(m for m in told.play(Event("on", 0, 60, 0.5)) if m[0] == "/s_new")
    assert controls(new, 5)["rate"] == 2.0


def by_name(note: int, **values: float) -> list[Event]:
    """A note with values by name, as the server's commands bring them."""
    args = [part for name, value in values.items() for part in (name, value)]
    commands = play.read("bells", (Param("play", "trigger"),), ["note", note, "length", 0, *args], Now())
    controls = [replace(one.event, offset=7) for one in commands[:-1]]
    return [*controls, Event("on", 7, note, 0.5)]


def test_a_notes_values_reach_the_definitions_controls_by_name():
    told = PlayedDefinition("blip", controls="release=0.5")
    said = told.play(*by_name(69, release=2.25, amp=0.25, nothing=3.0, out=9.0))
    new, own = said[3:5]
    assert own == ["/n_set", new[2], "amp", 0.25, "release", 2.25] or own == [
        "/n_set",
        new[2],
        "release",
        2.25,
        "amp",
        0.25,
    ]
    assert ["/n_run", new[4], 1] == said[-1], "the group runs once all is there"
    assert not any(m[0] == "/n_set" for m in told.play(Event("on", 8, 70, 0.5))), "the next note has none"


def test_a_notes_values_reach_our_definitions_too():
    told = []
    player = NodeVoices(SynthSettings("pad"), VoicePlace(48000, 10, 2, 18, count(1000)))
    for event in (*by_name(60, cutoff=700.0, attack=0.125, nothing=1.0), Event("on", 0, 64, 0.5)):
        player.play([event], OWN_FRAME, OWN_FRAME - 768, lambda node, packet: told.append(osc.decode(packet)))
    own, plain = (controls(["", *message.args], 5) for message in told)
    assert (own["cutoff"], own["attack"], own["note"], own["velocity"]) == (700.0, 0.125, 60.0, 63.5)
    assert "cutoff" not in plain


def test_places_come_back_with_the_voice_and_are_taken_where_none_does():
    told = PlayedDefinition("tick")
    for n in range(PLACES + 10):
        said = told.play(Event("on", n, n % 128, 0.5))
        freed = [m for m in said if m[0] == "/n_free"]
        assert len(freed) == (n >= PLACES)
    assert len(told.player._places) == PLACES
    ended = told.begun[-1]
    told.player.end_voice(ended)
    assert told.player.litter == [ended - 1]
    said = told.play(Event("on", 0, 1, 0.5))
    assert [m for m in said if m[0] == "/n_free"] == [["/n_free", ended - 1]]
    assert told.player.litter == []


RATE, FRAME, NOW = 48000, 5 << 24, 4 << 24


class PlayedVoices:
    """A player and what it said, as (address, node, controls)."""

    def __init__(self, instrument: str = "strings", **settings: Any) -> None:
        self.player = NodeVoices(SynthSettings(instrument, **settings), VoicePlace(RATE, 10, 2, 18, count(1000)))
        self.begun: list[int] = []
        self.messages: list[tuple[str, int, dict[str, float]]] = []

    def play(self, *events: Event) -> list[tuple[str, int, dict[str, float]]]:
        before = len(self.messages)
        self.player.play(events, FRAME, NOW, self._hear)
        return self.messages[before:]

    def _hear(self, node: int, packet: bytes) -> None:
        message = osc.decode(packet)
        assert isinstance(message, osc.Message)
        args = list(message.args)
        name, args = (args[0], args[1:]) if message.address == b"/s_new" else ("", args)
        assert node == (args[0] if name else 0)
        flat = args[3:] if name else args[1:]
        controls = dict(zip(flat[::2], flat[1::2], strict=True))
        if name:
            self.begun.append(node)
            controls["def"] = name
        self.messages.append((message.address.decode(), args[0], controls))


def at(controls: dict[str, float], name: str) -> int:
    return (int(controls[f"{name}_high"]) << 24) + int(controls[name])


def test_a_note_begins_and_ends_on_its_frames():
    told = PlayedVoices("piano")
    ((address, node, new),) = told.play(Event("on", 37, 60, 0.5))
    assert (address, new["def"], new["note"], new["velocity"]) == ("/s_new", "antiphon_piano", 60, 63.5)
    assert (at(new, "start"), new["out"], new["clock"]) == (FRAME + 37, 2, 18)
    assert told.play(Event("off", 200, 60)) == [("/n_set", node, {"stop": 200.0, "stop_high": 5.0})]
    assert told.play(Event("off", 201, 60)) == []


def test_values_of_one_note_are_for_its_voice():
    told = PlayedVoices(bend=12.0)
    ((_, first, new),) = told.play(Event("pitch", 0, 60, -0.5), Event("pressure", 0, 60, 1.0), Event("on", 0, 60, 0.5))
    assert (new["bend"], new["gain"]) == (-0.5, pytest.approx(6.02, abs=0.01))
    ((_, second, new),) = told.play(Event("on", 0, 67, 0.5))
    assert (new["bend"], new["gain"]) == (0.0, 0.0)
    assert told.play(Event("pitch", 0, 67, 0.25)) == [("/n_set", second, {"bend": 0.25})]
    assert told.play(Event("pressure", 0, 60, 0.0)) == [("/n_set", first, {"gain": 0.0})]
    # the channel's bend is added to each note's own
    bends = {node: said["bend"] for _, node, said in told.play(Event("bend", 0, 0, 0.5))}
    assert bends == {first: 5.5, second: 6.25}
    # a range that the channel states is in place of the node's, and at once
    stated = [Event("control", 0, number, value / 127) for number, value in ((101, 0), (100, 0), (6, 7))]
    bends = {node: said["bend"] for _, node, said in told.play(*stated)}
    assert bends == {first: 3.0, second: 3.75}
    told.play(Event("off", 9, 60))
    assert told.play(Event("pitch", 9, 60, 1.0)) == []


def test_what_is_played_now_waits_for_no_frame():
    told = PlayedVoices()
    ((_, node, new),) = told.play(Event("on", 0, 60, 0.5, live=True))
    assert new["start"] == -1
    assert told.play(Event("off", 0, 60, live=True)) == [("/n_set", node, {"gate": 0.0})]


def test_a_note_let_go_now_before_its_frame_still_sounds():
    told = PlayedVoices()
    ((_, node, _),) = told.play(Event("on", 100, 60, 0.5))
    assert told.play(Event("off", 0, 60, live=True)) == [("/n_set", node, {"stop": 101.0, "stop_high": 5.0})]


def test_the_pedal_holds_and_lets_go():
    told = PlayedVoices()
    ((_, node, _),) = told.play(Event("control", 0, PEDAL, 1.0), Event("on", 1, 60, 0.5), Event("off", 2, 60))
    assert told.play(Event("control", 50, PEDAL, 0.0)) == [("/n_set", node, {"stop": 50.0, "stop_high": 5.0})]


def test_the_oldest_makes_room_and_the_same_key_is_struck_again():
    told = PlayedVoices(voices=2)
    told.play(*(Event("on", n, 60 + n, 0.5) for n in range(2)))
    cut, _ = told.play(Event("on", 9, 70, 0.5))
    assert cut == ("/n_set", told.begun[0], {"cut": 9.0, "cut_high": 5.0})
    cut, _ = told.play(Event("on", 12, 70, 0.5))
    assert cut == ("/n_set", told.begun[2], {"cut": 12.0, "cut_high": 5.0})
    assert len(told.player._alive) == 2
    told.player.end_voice(told.begun[1])
    assert len(told.player._alive) == 1


def test_a_freed_voice_leaves_the_pedal_and_the_key_that_was_struck_again():
    told = PlayedVoices()
    told.play(Event("on", 0, 60, 0.5), Event("on", 1, 60, 0.5))
    told.player.end_voice(told.begun[0])
    assert told.play(Event("off", 2, 60)) == [("/n_set", told.begun[1], {"stop": 2.0, "stop_high": 5.0})]
    told.play(Event("control", 3, PEDAL, 1.0), Event("on", 4, 62, 0.5), Event("off", 5, 62))
    told.player.end_voice(told.begun[2])
    assert [message[1] for message in told.play(Event("on", 6, 62, 0.5))] == [told.begun[3]]
    assert told.play(Event("control", 7, PEDAL, 0.0)) == []


def test_drums_come_from_the_kit_and_choke_each_other():
    told = PlayedVoices("drums")
    ((_, open_hat, new),) = told.play(Event("on", 0, 46, 0.5))
    assert (new["def"], new["decay"]) == ("antiphon_hat", pytest.approx(0.7))
    assert "note" not in new
    cut, closed = told.play(Event("on", 5, 42, 0.5))
    assert cut == ("/n_set", open_hat, {"cut": 5.0, "cut_high": 5.0})
    assert closed[2]["seed"] != new["seed"]
    assert told.play(Event("off", 9, 42)) == []
    assert told.play(Event("on", 9, 1, 0.5)) == [], "a key without a drum"
    assert told.play(Event("on", 9, 42, 0.5, age=RATE)) == [], "what has died away is not struck again"


def test_a_note_taken_up_again_has_no_blow_and_is_as_soft_as_it_would_be():
    first = PlayedVoices("piano").play(Event("on", 0, 60, 0.5))[0][2]
    again = PlayedVoices("piano").play(Event("on", 0, 60, 0.5, age=4 * RATE))[0][2]
    assert again["attack"] >= 0.05 > first["attack"]
    assert again["gain"] == pytest.approx(first["gain"] - 20.0)


def test_every_instrument_and_every_drum_has_a_definition_with_its_controls():
    import tomllib

    from antiphon.api.backends.files import built_in_folder

    read = tomllib.loads((built_in_folder("supercollider") / "synthdefs.toml").read_text())
    known = set(read["shared"]["voice"]["controls"])
    for instrument in ("piano", "bass", "pad", "pluck", "strings"):
        new = PlayedVoices(instrument).play(Event("on", 0, 60, 0.5))[0][2]
        assert set(new) - {"def"} <= known | set(read["defs"][new["def"]]["controls"])
    for key in kit():
        new = PlayedVoices("drums").play(Event("on", 0, key, 0.5))[0][2]
        assert set(new) - {"def"} <= known | set(read["defs"][new["def"]]["controls"])
