"""Take: messages with beats, recorded from the performance."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field
from itertools import groupby
from struct import pack, unpack
from typing import Any, Self

from antiphon.api import Event, Param, Value
from antiphon.api.backends.transports import (
    VALUES_BEGIN,
    Arg,
    EngineEffect,
    Node,
    NoteWord,
    Now,
    Play,
    RequestError,
    Sample,
    TransportServer,
    note_params,
    plays,
    value_place,
)
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.events import EVENTS

_MAX_VALUES = 2048
"""Upper bound of the values per note."""
_MAX_BEAT = 1.23456789e-05
"""The beat with the longest text form."""
_MIN_BEATS = 0.01
"""Minimum length of a note in beats."""
_KEPT = "name", "begin", "beats", "most", "step", "knobs", "nodes", "loops", "dropped", "_messages", "_count"
"""What a take is made of again, beside its notes."""
Words = tuple[int | float | str, ...]


@dataclass(slots=True)
class _HeldNote:
    """A held note: its start, its quantised start, and its end, None while held."""

    played: float
    beat: float
    on: tuple[str, Words]  # address and arguments that begin it
    ended: float | None = None


@dataclass(slots=True)
class Take:
    """A recording of `beats` beats from beat `begin` on."""

    server: TransportServer
    name: str
    begin: float
    beats: float
    most: int  # maximum events; further ones are dropped and counted
    step: float  # beats to whose multiples beginnings of notes are moved; 0 for none
    knobs: bool
    nodes: tuple[str, ...]  # names of the nodes that are recorded; none for all
    done: Callable[..., None]  # answers who asked for it
    loops: bool = True  # whether it is played when it ends
    dropped: int = 0
    _messages: list[tuple[float, str, Words]] = field(default_factory=list)
    _notes: dict[Words, list[_HeldNote]] = field(default_factory=dict)
    _values: dict[int, list[Event]] = field(default_factory=dict)
    _count: int = 0

    def keep(self) -> dict[str, Any]:
        """Returns what `restore` makes it of again, as JSON; a note whose values are still coming is left out."""
        notes = [(key, [astuple(note) for note in held]) for key, held in self._notes.items()]
        return {name: getattr(self, name) for name in _KEPT} | {"_notes": notes}

    @classmethod
    def restore(cls, server: TransportServer, done: Callable[..., None], kept: dict[str, Any]) -> Self:
        """Makes a take of what `keep` returned, for the control process that follows a crash."""
        messages = [(beat, address, tuple(words)) for beat, address, words in kept.pop("_messages")]
        notes = {
            tuple(key): [
                _HeldNote(played, beat, (on, tuple(words)), ended) for played, beat, (on, words), ended in held
            ]
            for key, held in kept.pop("_notes")
        }
        return cls(server, done=done, _messages=messages, _notes=notes, **kept)

    @property
    def end(self) -> float:
        """End in beats."""
        return self.begin + self.beats

    def effect(self, effect: EngineEffect) -> None:
        """Records an effect sent to the engine, except those dated in beats, which come from clips or scripts."""
        if not isinstance(effect, NodeSet | Play) or not isinstance(effect.when, Now | Sample):
            return
        node = next((one for one in self.server.nodes().values() if one.id == effect.node), None)
        if node is None or node.info.overhears or (self.nodes and node.name not in self.nodes):
            return
        beat = self.server.beat_of(effect.when) - self.begin
        if isinstance(effect, NodeSet):
            if self.knobs:
                param = node.cells[effect.cell]
                ramp = (effect.ramp,) if effect.ramp else ()
                value = _plain(param.decode(effect.number))
                self._add(beat, f"/node/{node.name}/{param.name}", (value, *ramp))
        else:
            self._event(beat, node, effect.event)

    def _event(self, beat: float, node: Node, event: Event) -> None:
        if event.kind in ("on", "off"):
            self._note(beat, node, event)
        elif event.kind == "control" and event.number == VALUES_BEGIN and plays(node.info):
            self._values[node.id] = [event]
        elif (
            event.kind == "control"
            and max(value_place(event.number), NoteWord.place(event.number)) >= 0
            and 0 < len(self._values.get(node.id, ())) < _MAX_VALUES
        ):
            self._values[node.id].append(event)
        else:
            row = next(row for row in EVENTS if row.kind == event.kind)
            number = (event.number,) if row.number.logged else ()
            value = (float(event.value),) if row.value.logged else ()
            self._add(beat, row.address, (*number, *value, event.channel, node.name))

    def _note(self, beat: float, node: Node, event: Event) -> None:
        key: Words = (event.number, event.channel, node.name)
        if event.kind == "off":
            held = self._notes.get(key)
            if held and held[-1].ended is None:
                held[-1].ended = beat
            return
        at = round(beat / self.step) * self.step if self.step else beat
        velocity = 127.0 * event.value
        velocity = max(1, round(velocity)) if abs(velocity - round(velocity)) < 1e-6 or velocity < 1.0 else velocity
        begun, on = self._values.pop(node.id, None), ("/note/on", (event.number, velocity, *key[1:]))
        if begun is not None:
            declared = note_params(node.info.params)
            words = self._note_words(node, declared, begun) if declared else _named_note_values(node, begun)
            if words is None:
                self.dropped += 1
                return
            number = ("note", event.number) if begun[0].value else ()
            on = f"/node/{node.name}/play", (*words, *number, "velocity", velocity)
            if declared:
                self._add(at, *on, beat)
                return
            if not _is_recordable(on):
                self.dropped += 1
                return
        if self._reserve_messages(at, 2, beat):
            self._notes.setdefault(key, []).append(_HeldNote(beat, at, on))

    def _note_words(self, node: Node, params: tuple[Param, ...], values: list[Event]) -> Words | None:
        """Names and values of a note with its own; None for unknown ones."""
        words = list[int | float | str]()
        for number, effects in groupby(values[1:], lambda one: one.number):
            word = NoteWord()
            for effect in effects:
                place = max(value_place(number), word.take(number, effect.value))
            if place >= len(params):
                return None
            param = params[place]
            if word.data is None and param.kind != "text":
                words += param.name, _plain(param.from_norm(effect.value))
            elif word.text in node.vocabulary.get(param.name, ()):
                words += param.name, word.text
            else:
                return None
        return tuple(words)

    def _reserve_messages(self, beat: float, count: int, heard: float) -> bool:
        if not (beat >= -1e-9 and heard < self.beats - 1e-9):
            return False
        if self._count + count > self.most:
            self.dropped += 1
            return False
        self._count += count
        return True

    def _add(self, beat: float, address: str, words: Words, heard: float | None = None) -> None:
        if self._reserve_messages(beat, 1, beat if heard is None else heard):
            if _is_recordable((address, words)):
                self._messages.append((beat, address, words))
            else:
                self.dropped += 1

    def _wrap_beat(self, beat: float) -> float:
        """Position in the loop: a start quantised to the loop's end wraps to its beginning."""
        return max(0.0, beat) if beat < self.beats - 1e-9 else 0.0

    def clip(self, place: int) -> PatchClip:
        """Clip of the recording so far: a held note ends with the clip, or at its next start."""
        messages = [(self._wrap_beat(beat), address, words) for beat, address, words in self._messages]
        for (number, channel, node), notes in self._notes.items():
            begun = sorted(((self._wrap_beat(note.beat), note) for note in notes), key=lambda one: one[0])
            ends = [begin for begin, _ in begun[1:]] + [self.beats]
            for (begin, note), latest in zip(begun, ends, strict=True):
                if latest <= begin:
                    continue  # the same note again on one step
                held = self.step if begin < note.beat else self.beats
                length = held if note.ended is None else max(note.ended - note.played, _MIN_BEATS)
                messages.append((begin, *note.on))
                messages.append((min(begin + length, latest), "/note/off", (number, 0, channel, node)))
        return PatchClip.of(self.beats, sorted(messages, key=lambda one: (one[0], one[1] != "/note/off")), place)


def _is_recordable(message: tuple[str, Words]) -> bool:
    """Whether a clip may contain the message: it is short enough, and its texts have no quotation marks."""
    try:
        PatchClip.of(0.0, [(_MAX_BEAT, *message)]).messages()
    except RequestError:
        return False
    return True


def _named_note_values(node: Node, values: list[Event]) -> Words | None:
    """Names and values of a note whose node has no parameters for them; None for an unknown name.

    Each is the pieces of its name, and the halves of a 32-bit float, in 65536ths.
    """
    words: list[int | float | str] = ["length", 0]
    name: str | None = None
    for is_half, effects in groupby(values[1:], lambda one: value_place(one.number) >= 0):
        found = list(effects)
        if not is_half:
            word = NoteWord()
            for piece in found:
                word.take(piece.number, piece.value)
            name = word.text
        elif name is not None and len(found) == 2 and name in node.vocabulary.get("play", ()):
            high, low = (round(half.value * 65536) for half in found)
            words += name, *unpack(">f", pack(">I", high << 16 | low))
        else:
            return None
    return tuple(words)


def _plain(value: Value) -> int | float | str:
    return int(value) if isinstance(value, bool) else value


DEFAULT_NOTE = 60
"""Note number for values without one."""
Message = tuple[float, str, tuple[int | float | str, ...]]


@dataclass(slots=True, eq=False)
class ClipRun:
    """A playing clip, from beat `begin` to beat `end`."""

    name: str
    begin: float
    sent: float  # the beat before which all was sent; infinite where nothing is left
    end: float = math.inf
    take: Take | None = None  # what it plays until that is kept as the clip
    sounding: dict[tuple[Arg, ...], None] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def note_started(self, address: str, args: tuple[Arg, ...]) -> None:
        """Records that a message started a note or value, until its end."""
        if address == "/note/on":
            self.sounding[args[:1] + args[2:]] = None
        elif address == "/note/off":
            self.sounding.pop(args[:1] + args[2:], None)
        elif address.endswith("/play"):
            given = dict(zip(args[::2], args[1::2], strict=False))
            if "cut" in given:
                self.sounding[(address, *args)] = None
            elif given.get("length") == 0:
                self.sounding[(given.get("note", DEFAULT_NOTE), 1, address.split("/")[2])] = None

    def release(self) -> Iterator[tuple[Arg, ...]]:
        """Messages that end open notes and values."""
        sounding, self.sounding = self.sounding, {}
        for what in sounding:
            if str(what[0]).startswith("/"):
                # a sound of a choke group: a silent one of its group ends it
                yield *what, "gain", 0
            else:
                yield "/note/off", what[0], 0, *what[1:]


def due_messages(
    messages: list[Message], begin: float, length: float, since: float, to: float
) -> Iterator[tuple[float, str, tuple[Arg, ...]]]:
    """Messages in [since, to) of a clip that repeats after `length` beats, or plays once if that is 0."""
    first = max(0, math.floor((since - begin) / length) - 1) if length else 0
    last = max(0, math.floor((to - begin) / length)) if length else 0
    for turn in range(first, last + 1):
        base = begin + turn * length
        place = bisect_left(messages, since - base, key=lambda one: one[0])
        for beat, address, args in messages[place:]:
            if beat >= to - base:
                break
            if beat <= length or not length:
                yield base + beat, address, args
