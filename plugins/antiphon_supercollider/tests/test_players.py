"""Notes as scsynth is told them: every moment as a frame, voices given, held and taken. No scsynth here."""

from itertools import count
from typing import Any

import pytest

from antiphon.api import PEDAL, Event
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import SynthSettings
from antiphon_supercollider.voices.players import NodeVoices, Template, VoicePlace, kit, moment

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


def test_a_frame_is_exact_in_its_two_halves():
    for frame in (0, 1, (1 << 24) - 1, 1 << 24, (9 << 24) + 12345):
        low, high = moment(frame)
        assert (int(high) << 24) + int(low) == frame
    assert moment(-1) == (-1.0, 0.0)


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
    told.player.ended(told.begun[1])
    assert len(told.player._alive) == 1


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


def test_a_template_says_what_encode_says():
    asked = ("/s_new", "antiphon_hat", 7, 1, 10, "note", 60.5, "velocity", 100.0)
    made = Template("/s_new", "antiphon_hat", 0, 1, 10, "note", 0.0, "velocity", 0.0)
    assert made.fill(7, (60.5, 100.0)) == osc.encode(asked[0], *asked[1:])
