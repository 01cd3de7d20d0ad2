"""Somebody's own SynthDef as scsynth is told of it: groups, doors, places. No scsynth here."""

from itertools import count
from pathlib import Path

import pytest

from antiphon.api import Event, Param
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import FIRST_DIAL, SynthSettings
from antiphon.kernel.session import play
from antiphon.kernel.session.commands import Now
from antiphon_supercollider.voices.material import VoiceAssets
from antiphon_supercollider.voices.own import PLACES, OwnPlayer
from antiphon_supercollider.voices.players import NodeVoices, VoicePlace
from antiphon_supercollider.voices.scgf import load

FOLDER = Path(__file__).parent / "synthdefs" / "own" / "compiled"
FRAME = (3 << 24) + 100


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

        self.player.play(events, FRAME, FRAME - 768, hear)
        return said


def controls(message: list[osc.Arg], first: int) -> dict[str, float]:
    return dict(zip(message[first::2], message[first + 1 :: 2], strict=True))  # type: ignore[arg-type]


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
    controls = [Event("control", 7, one.number, one.value) for one in commands[:-1]]
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
        player.play([event], FRAME, FRAME - 768, lambda node, packet: told.append(osc.decode(packet)))
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
    told.player.ended(ended)
    assert told.player.litter == [ended - 1]
    said = told.play(Event("on", 0, 1, 0.5))
    assert [m for m in said if m[0] == "/n_free"] == [["/n_free", ended - 1]]
    assert told.player.litter == []
