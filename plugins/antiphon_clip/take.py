"""A take: what is played while a clip is recorded, as messages at beats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from antiphon.api import Value
from antiphon.api.backends.transports import (
    VALUES_BEGIN,
    EngineEffect,
    Node,
    NodeEvent,
    NodeSet,
    Now,
    PatchClip,
    RequestError,
    Sample,
    TransportServer,
    note_params,
    value_place,
    word_number,
)

_ADDRESSES = {"control": "/cc", "bend": "/bend", "program": "/program"}
Words = tuple[int | float | str, ...]


@dataclass(slots=True)
class _Held:
    """A note: where it began, where it begins when it is played, and where it ended, None while it is held."""

    played: float
    beat: float
    velocity: float
    ended: float | None = None


@dataclass(slots=True)
class Take:
    """A recording of `beats` beats from beat `begin` on.

    Attributes:
        step: Beats to whose multiples beginnings of notes are moved; 0 for none.
        nodes: Names of the nodes that are recorded; none for all.
        most: Maximum events; further ones are dropped and counted.
        loops: Whether it is played when it ends.
        done: Answers who asked for it.
    """

    server: TransportServer
    name: str
    begin: float
    beats: float
    most: int
    step: float
    knobs: bool
    nodes: tuple[str, ...]
    done: Callable[..., None]
    loops: bool = True
    dropped: int = 0
    _messages: list[tuple[float, str, Words]] = field(default_factory=list)
    _notes: dict[Words, list[_Held]] = field(default_factory=dict)
    _values: dict[int, list[NodeEvent]] = field(default_factory=dict)
    _count: int = 0

    @property
    def end(self) -> float:
        """Beat at which it ends."""
        return self.begin + self.beats

    def effect(self, effect: EngineEffect) -> None:
        """Takes what is sent to the engine. What is dated in beats comes of a clip or a script, and is left out."""
        if not isinstance(effect, NodeSet | NodeEvent) or not isinstance(effect.when, Now | Sample):
            return
        node = next((one for one in self.server.nodes().values() if one.id == effect.node), None)
        if node is None or (self.nodes and node.name not in self.nodes):
            return
        beat = self.server.beat_of(effect.when) - self.begin
        if isinstance(effect, NodeSet):
            if self.knobs:
                param = node.cells[effect.cell]
                ramp = (effect.ramp,) if effect.ramp else ()
                value = _plain(param.decode(effect.number))
                self._add(beat, f"/node/{node.name}/{param.name}", (value, *ramp))
        elif effect.kind in ("on", "off"):
            self._note(beat, node, effect)
        elif effect.kind == "control" and effect.number == VALUES_BEGIN:
            self._values[node.id] = [effect]
        elif effect.kind == "control" and value_place(effect.number) >= 0:
            self._values.setdefault(node.id, []).append(effect)
        elif address := _ADDRESSES.get(effect.kind):
            amounts = {"bend": (effect.value,), "program": (effect.number,)}
            own = amounts.get(effect.kind, (effect.number, effect.value))
            self._add(beat, address, (*own, effect.channel, node.name))
        else:
            self._add(beat, f"/note/{effect.kind}", (effect.number, float(effect.value), effect.channel, node.name))

    def _note(self, beat: float, node: Node, effect: NodeEvent) -> None:
        key: Words = (effect.number, effect.channel, node.name)
        if effect.kind == "off":
            held = self._notes.get(key)
            if held and held[-1].ended is None:
                held[-1].ended = beat
            return
        at = round(beat / self.step) * self.step if self.step else beat
        velocity = 127.0 * effect.value
        velocity = round(velocity) if abs(velocity - round(velocity)) < 1e-6 else velocity
        if (begun := self._values.pop(node.id, None)) is not None:
            words = self._named(node, begun)
            if words is None:
                self.dropped += 1
            else:
                number = ("note", effect.number) if begun[0].value else ()
                self._add(at, f"/node/{node.name}/play", (*words, *number, "velocity", velocity))
        elif self._fits(at, 2):
            self._notes.setdefault(key, []).append(_Held(beat, at, velocity))

    def _named(self, node: Node, values: list[NodeEvent]) -> Words | None:
        """Names and values of a note that has its own; None where a word is not known."""
        params, words = note_params(node.info.params), list[int | float | str]()
        for effect in values[1:]:
            param = params[value_place(effect.number)]
            known = node.vocabulary.get(param.name, ())
            if param.kind != "text":
                words += param.name, _plain(param.from_norm(effect.value))
            elif word := next((word for word in known if word_number(word) == effect.value), ""):
                words += param.name, word
            else:
                return None
        return tuple(words)

    def _fits(self, beat: float, count: int) -> bool:
        if not -1e-9 <= beat < self.beats - 1e-9:
            return False
        if self._count + count > self.most:
            self.dropped += 1
            return False
        self._count += count
        return True

    def _add(self, beat: float, address: str, words: Words) -> None:
        if self._fits(beat, 1):
            message = max(0.0, beat), address, words
            try:
                PatchClip.of(0.0, [message]).messages()
            except RequestError:
                # longer than an event may be
                self.dropped += 1
            else:
                self._messages.append(message)

    def clip(self, place: int) -> PatchClip:
        """What was recorded so far: a note that is held ends with the clip, or where it begins again."""
        messages = list(self._messages)
        for (number, channel, node), notes in self._notes.items():
            notes = sorted(notes, key=lambda note: note.beat)
            ends = [note.beat for note in notes[1:]] + [self.beats]
            for note, latest in zip(notes, ends, strict=True):
                if latest <= note.beat:
                    continue  # the same note again on one step
                length = self.beats if note.ended is None else note.ended - note.played
                end = min(note.beat + length, latest)
                begin = max(0.0, note.beat)
                messages.append((begin, "/note/on", (number, note.velocity, channel, node)))
                messages.append((end, "/note/off", (number, 0, channel, node)))
        return PatchClip.of(self.beats, sorted(messages, key=lambda one: (one[0], one[1] != "/note/off")), place)


def _plain(value: Value) -> int | float | str:
    return int(value) if isinstance(value, bool) else value
