"""Ring of session-log records with their samples, to the recorder while it records a session or tracks."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from antiphon.kernel.contract.event import Event
from antiphon.kernel.engine.shared import SESSION, TRACKS, ByteRing, HeaderWord, Shared
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.notes import HIGHEST
from antiphon.kernel.session.play import BEGIN
from antiphon.kernel.session.records import SIZE

if TYPE_CHECKING:  # control writes headers alone, and has no player
    from antiphon.kernel.engine.graph_player import GraphPlayer
    from antiphon.kernel.engine.playing import Applied, PlayerReport

_ACTION = struct.Struct("<cq")
"""Header of a packed action: the record's kind, and the sample at which the action took effect."""
VERSION = 2
"""Version of the session log's format."""
_SPAN = struct.Struct("<cqq")
MAX_WAITING = 16384
TrackLabel = tuple[int, str, int, bool]
"""Track label: number in the ring of captures, name and channels of a sound, and whether it is part of the mix."""


class Journal:
    """Writes the engine's records into the ring. All methods do nothing unless a session is recorded."""

    def __init__(self, shared: Shared, player: GraphPlayer) -> None:
        self._words, self._ring, self._player = shared.words, ByteRing(shared), player
        self._session = 0
        self._plan = b"null"
        self._record = bytearray(_ACTION.size + SIZE)

    @property
    def recording(self) -> bool:
        """True while a session is recorded."""
        return self._words[HeaderWord.TAPPING] >= SESSION

    @property
    def rests(self) -> bool:
        """True if no session has begun since the last `follow`."""
        joined = self._player.applied is not None and self._session == self._words[HeaderWord.SESSIONS]
        return joined or not self.recording

    def record_start(self, sample: int, died: int) -> None:
        """Records an engine's start in initial state; `died`: sample after the previous engine's last, or 0."""
        if self.recording:
            self._player.applied = deque(maxlen=MAX_WAITING)
            self._session = self._words[HeaderWord.SESSIONS]
            tempo = asdict(self._player.tempo)
            latency = self._player.time.latency
            line = {"engine": "started", "sample": sample, "died": died, "tempo": tempo, "latency": latency}
            line |= self._player.rising
            self._ring.push(b"E" + json.dumps(line).encode())

    def record_plan(self, sample: int, text: bytes) -> None:
        """Records that a plan plays from `sample`. `text` is the load request as JSON."""
        self._plan = text
        if self.recording:
            self._ring.push(b"L" + sample.to_bytes(8, "little") + text)

    def record_gap(self, first: int, last: int) -> None:
        """Records that samples `first` (inclusive) to `last` (exclusive) were not computed."""
        if self.recording:
            self._ring.push(_SPAN.pack(b"M", first, last))

    def record_latency(self, sample: int, latency: int) -> None:
        """Records the latency, in frames, of another driver that plays from `sample` on."""
        if self.recording:
            self._ring.push(b"E" + json.dumps({"sample": sample, "latency": latency}).encode())

    def record_late_block(self, sample: int) -> None:
        """Records that the block at `sample` was computed too late to play."""
        if self.recording:
            self._ring.push(_SPAN.pack(b"U", sample, 0))

    def record_failure(
        self, sample: int, node: int, reason: str, *, aside: bool = False, leaving: bool = False
    ) -> None:
        """Records a node's failure, since a replay cannot reproduce every failure, for example an overrun.

        `aside`: it had crashed the engine before and is bypassed from the start of the plan loaded at `sample`.
        `leaving`: it belongs to the plan that fades out in that block.
        """
        if self.recording:
            line = {"sample": sample, "failed": node, "reason": reason, "aside": aside, "leaving": leaving}
            self._ring.push(b"E" + json.dumps(line).encode())

    def record_mark(self, sample: int, mark: PlayerReport) -> None:
        """Records a node's mark in the block at `sample`: an event a replay cannot reproduce, such as a dropout."""
        if self.recording:
            line = {"sample": sample, "node": mark.node, "mark": mark.text, "number": mark.token, "leaving": mark.cell}
            self._ring.push(b"E" + json.dumps(line).encode())

    def record_tracks(self, sample: int, tracks: Sequence[TrackLabel]) -> None:
        """Records which sounds the ring of captures holds from about `sample` on."""
        if self.recording:
            self._ring.push(b"E" + json.dumps({"sample": sample, "tracks": tracks}).encode())

    def record_events(self, sample: int, heard: deque[tuple[str, Sequence[Event]]]) -> None:
        """Records the events that nodes received in the block at `sample`, and empties `heard`."""
        for line in heard_lines(sample, heard) if self._words[HeaderWord.TAPPING] >= TRACKS else ():
            self._ring.push(b"E" + json.dumps(line).encode())
        heard.clear()

    def record_actions(self, actions: deque[Applied]) -> None:
        """Records actions as they took effect, and empties `actions`."""
        if not self.recording:
            self._player.applied = None
            return
        while actions:
            done = actions.popleft()
            _ACTION.pack_into(self._record, 0, b"A", done.sample)
            ACTIONS.pack_into(self._record, _ACTION.size, done.action)
            self._ring.push(self._record)

    def follow(self) -> bool:
        """Whether a session begins, whose head is the player's state. Called at a block's end, after `applied`."""
        if not self.recording:
            return False
        if self._player.applied is None:
            self._player.applied = deque(maxlen=MAX_WAITING)
        begins = self._session != self._words[HeaderWord.SESSIONS]
        if begins:
            self._session = self._words[HeaderWord.SESSIONS]
            line = json.dumps({"engine": "joined", **self._player.state()})
            self._ring.push(b"E" + line[:-1].encode() + b', "load": ' + self._plan + b"}")
        return begins


def heard_lines(sample: int, heard: Iterable[tuple[str, Sequence[Event]]]) -> Iterator[dict[str, Any]]:
    """Yields the log's lines on events that nodes received in the block at `sample`, if MIDI files can hold them."""
    for name, events in heard:
        told = [(e.offset, e.kind, int(e.number), float(e.value), e.channel) for e in events if _is_midi_event(e)]
        if told:
            yield {"sample": sample, "heard": name, "events": told}


def _is_midi_event(event: Event) -> bool:
    # the controllers from BEGIN on carry the values of notes of live scripts
    least = BEGIN if event.kind == "control" else HIGHEST + 1
    return event.kind in ("on", "off", "control", "bend", "program") and 0 <= event.number < least


def to_line(record: bytes) -> dict[str, Any]:
    """Decodes a record of the ring into the JSON object of one session-log line."""
    kind = record[:1]
    if kind == b"L":
        return {"sample": int.from_bytes(record[1:9], "little"), "load": json.loads(record[9:])}
    if kind == b"A":
        _, sample = _ACTION.unpack_from(record)
        return ACTIONS.to_line(sample, ACTIONS.unpack_from(record, _ACTION.size))
    if kind == b"E":
        return dict(json.loads(record[1:]))
    _, first, last = _SPAN.unpack(record)
    return {"missed": [first, last]} if kind == b"M" else {"unheard": first}
