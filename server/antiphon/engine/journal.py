"""What the engine tells the session log: every load, command, miss and start, with its sample.

Records go through a bounded ring to the recorder, which writes them as JSON lines. Kept only while
a session is (`HeaderWord.TAPPING` is 2).
"""

from __future__ import annotations

import json
import struct
from collections import deque
from dataclasses import asdict
from typing import Any

from antiphon.engine.graph_player import GraphPlayer
from antiphon.engine.player_reports import Applied, StageReport
from antiphon.engine.shared import SESSION, ByteRing, HeaderWord, Shared
from antiphon.session.actions import ACTIONS
from antiphon.session.records import SIZE

_ACTION = struct.Struct("<cq")
"""What stands before a packed action: its kind, and the sample at which it took effect."""
VERSION = 2
"""Of the log's lines."""
_SPAN = struct.Struct("<cqq")
MAX_WAITING = 16384


class Journal:
    """The engine's writing end."""

    def __init__(self, shared: Shared, stage: GraphPlayer) -> None:
        self._words, self._ring, self._stage = shared.words, ByteRing(shared), stage
        self._session = 0
        self._plan = b"null"
        self._record = bytearray(_ACTION.size + SIZE)

    @property
    def kept(self) -> bool:
        return self._words[HeaderWord.TAPPING] == SESSION

    def started(self, sample: int, died: int) -> None:
        """The engine begins at `sample`, with fresh processors; the one before wrote its last before `died`."""
        if self.kept:
            self._stage.applied = deque(maxlen=MAX_WAITING)
            self._session = self._words[HeaderWord.SESSIONS]
            tempo = asdict(self._stage.tempo)
            line = {"engine": "started", "sample": sample, "died": died, "tempo": tempo, **self._stage.rising}
            self._ring.push(b"E" + json.dumps(line).encode())

    def loaded(self, sample: int, text: bytes) -> None:
        """A plan plays from `sample`. text: the load request as JSON."""
        self._plan = text
        if self.kept:
            self._ring.push(b"L" + sample.to_bytes(8, "little") + text)

    def missed(self, first: int, last: int) -> None:
        """Samples `first` to `last` were never computed."""
        if self.kept:
            self._ring.push(_SPAN.pack(b"M", first, last))

    def unheard(self, sample: int) -> None:
        """The block at `sample` was computed and came too late."""
        if self.kept:
            self._ring.push(_SPAN.pack(b"U", sample, 0))

    def failed(self, sample: int, node: int, reason: str, *, aside: bool = False, leaving: bool = False) -> None:
        """A node failed in the block at `sample`; an overrun, for one, does not happen again by itself.

        aside: it had crashed the engine before, and is not run at all in the plan loaded at `sample`.
        leaving: it is a node of the plan that fades out then.
        """
        if self.kept:
            line = {"sample": sample, "failed": node, "reason": reason, "aside": aside, "leaving": leaving}
            self._ring.push(b"E" + json.dumps(line).encode())

    def marked(self, sample: int, mark: StageReport) -> None:
        """A node noted, in the block at `sample`, what would not happen again by itself: a worker's hops."""
        if self.kept:
            line = {"sample": sample, "node": mark.node, "mark": mark.text, "number": mark.token, "leaving": mark.cell}
            self._ring.push(b"E" + json.dumps(line).encode())

    def applied(self, actions: deque[Applied]) -> None:
        """Commands as they took effect."""
        if not self.kept:
            self._stage.applied = None
            return
        while actions:
            done = actions.popleft()
            _ACTION.pack_into(self._record, 0, b"A", done.sample)
            ACTIONS.pack_into(self._record, _ACTION.size, done.action)
            self._ring.push(self._record)

    def follow(self) -> None:
        """After a block: when a session has begun, tells how things stand, and collects commands from here on."""
        if not self.kept:
            return
        if self._stage.applied is None:
            self._stage.applied = deque(maxlen=MAX_WAITING)
        if self._session != self._words[HeaderWord.SESSIONS]:
            self._session = self._words[HeaderWord.SESSIONS]
            self._stage.applied.clear()
            line = json.dumps({"engine": "joined", **self._stage.state()})
            self._ring.push(b"E" + line[:-1].encode() + b', "load": ' + self._plan + b"}")


def to_line(record: bytes) -> dict[str, Any]:
    """A ring record as the session log writes it."""
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
