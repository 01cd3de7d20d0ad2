"""Note player of a user's SynthDef. A helper synth starts and stops each voice on its frame.

A voice is a group: the user's synth, paused, which writes to a private bus, and `antiphon_door`, which resumes it in
the block of its frame and delays its sound to the frame. A control bus, `door_held`, is its gate.
"""

from antiphon.api import Event, frequency
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import SynthSettings
from antiphon.synths.processor import RESERVED
from antiphon_supercollider.voices.material import BUFFERS, VoiceAssets
from antiphon_supercollider.voices.players import (
    IMMEDIATE,
    NodeVoices,
    ScVoice,
    SendPacket,
    Template,
    VoicePlace,
    moment,
    pressure_db,
)

PLACES = 64
"""Maximum voices of a node, releasing ones included; each has two audio buses and a control bus."""
_DOOR = ("door_start", "door_start_high", "door_gain", "door_in", "door_held", "door_voice", "door_group")
_PITCHES = ("note", "midinote")


class OwnPlayer(NodeVoices):
    """Plays `material.definition`. `first_bus`: of `2 * places` audio buses. `first_held`: of `places` control ones."""

    level, closes = "door_gain", "door_gate"
    beside, whole = 1, -1

    def __init__(
        self, settings: SynthSettings, place: VoicePlace, material: VoiceAssets, first_bus: int, first_held: int,
        places: int = PLACES,
    ) -> None:  # fmt: skip
        assert material.definition is not None
        self._definition = material.definition
        self._first_bus, self._first_held = first_bus, first_held
        self._most = places
        self._free_places = list(range(places))
        self._places: dict[int, int] = {}
        super().__init__(settings, place, material)

    def _shape(self) -> None:
        there, mono = self._definition.controls, float(self._definition.channels == 1)
        self._stop = Template("/n_set", 0, "door_stop", 0.0, "door_stop_high", 0.0)
        self._cut = Template("/n_set", 0, "door_cut", 0.0, "door_cut_high", 0.0)
        self._gate = Template("/n_set", 0, "door_gate", 0.0)
        self._given = [name for name in ("out", "freq", *_PITCHES, "amp", "velocity", "seed", "bend") if name in there]
        flat: list[osc.Arg] = []
        for name in self._given:
            flat += [name, 0.0]
        for name in BUFFERS:
            if name in there and self._material.buffer >= 0:
                flat += [name, float(self._material.buffer)]
        for name, value in self._extra.items():
            flat += [name, value]
        self._new = Template("/s_new", self._definition.name, 0, 0, 0, *flat)
        self._templates["own"] = self._new
        doors: list[osc.Arg] = []
        for name in _DOOR:
            doors += [name, 0.0]
        doors += ["door_out", float(self._out), "door_clock", float(self._clock), "door_mono", mono]
        self._door = Template("/s_new", "antiphon_door", 0, 1, 0, *doors)

    def end_voice(self, node: int) -> None:
        super().end_voice(node)
        place = self._places.pop(node, None)
        if place is not None:
            self._free_places.append(place)
            self.litter.append(node + self.whole)

    def forget(self) -> None:
        super().forget()
        self._places.clear()
        self._free_places = list(range(self._most))

    def _on(self, event: Event, at: int, send: SendPacket) -> None:
        channel = self._of(event.channel)
        key = (event.channel, event.number)
        self._strike(key, channel, at, send)
        while len(self._alive) >= self.settings.voices:
            self._take(self._victim(), at, send)
        self.sweep(send)
        if not self._free_places:
            oldest = next(iter(self._places))
            send(0, self._free.fill(oldest + self.whole, ()))
            super().end_voice(oldest)
            self._free_places.append(self._places.pop(oldest))
        group, node, door = next(self._nodes), next(self._nodes), next(self._nodes)
        place = self._places[node] = self._free_places.pop()
        bus, held = self._first_bus + 2 * place, self._first_held + place
        self._seed = (self._seed * 16807 + 1) % 16777213
        shape = self._shapes.take(event.number, event.channel)
        self._voices[node] = voice = ScVoice(
            event.number, event.channel, at, pitch=shape.pitch, pressed=pressure_db(shape.pressure)
        )
        note = event.number + self._semitones(voice)
        values = {
            "out": bus,
            "freq": frequency(note),
            "note": note,
            "midinote": note,
            "amp": event.value,
            "velocity": max(1.0, event.value * 127.0),
            "seed": self._seed,
            "bend": self._semitones(voice, True),
        }
        self._alive[node] = None
        self._held[key] = node
        # the group is paused until all of its messages have arrived, in whatever order
        send(0, osc.encode("/c_set", held, 1.0))
        send(0, osc.encode("/g_new", group, 1, self.group))
        send(0, osc.encode("/n_run", group, 0))
        self._new.set_int(2, group)
        send(node, self._new.fill(node, [values[name] for name in self._given]))
        if own := self._values.take_named(event.channel, set(self._definition.controls) - RESERVED):
            # before its first block, where all of its controls are read
            send(0, osc.encode("/n_set", node, *(word for name, value in own.items() for word in (name, value))))
        if "gate" in self._definition.held:
            send(0, osc.encode("/n_map", node, "gate", held))
        if at != IMMEDIATE:
            send(0, osc.encode("/n_run", node, 0))
        self._door.set_int(2, group)
        send(0, self._door.fill(door, (*moment(at), channel.gain + voice.pressed, bus, held, node, group)))
        send(0, osc.encode("/n_run", group, 1))

    def _release_voice(self, node: int, voice: ScVoice, at: int, send: SendPacket) -> None:
        if "gate" in self._definition.controls:
            super()._release_voice(node, voice, at, send)

    def _semitones(self, voice: ScVoice, asked: bool = False) -> float:
        """Bend in semitones, for a control of that name if there is one, else for the pitch."""
        return self._semitones_of(voice) * (("bend" in self._definition.controls) == asked)

    def _pitch(self, node: int, voice: ScVoice, send: SendPacket) -> None:
        there = self._definition.controls
        note = voice.note + self._semitones(voice)
        values = (
            {"bend": self._semitones(voice, True)}
            if "bend" in there
            else {"freq": frequency(note), "note": note, "midinote": note}
        )
        for name, value in values.items():
            if name in there:
                send(0, osc.encode("/n_set", node, name, float(value)))

    def _own(self, event: Event, send: SendPacket) -> None:
        super()._own(event, send)
        node = self._held.get((event.channel, event.number), -1)
        for name in (event.kind,) if node in self._voices and event.kind in self._definition.controls else ():
            # a SynthDef with controls of these names is sent the values as they are
            send(0, osc.encode("/n_set", node, name, float(event.value)))


def create_node_player(
    settings: SynthSettings, place: VoicePlace, material: VoiceAssets, first_bus: int, first_held: int,
    places: int = PLACES,
) -> NodeVoices:  # fmt: skip
    """Creates a node's player, for one of our SynthDefs or for a user's."""
    if material.definition is None:
        return NodeVoices(settings, place, material)
    return OwnPlayer(settings, place, material, first_bus, first_held, places)
