"""A JACK client that stands for an instrument: it sends bytes at frames, and records the frames of what comes."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any


class Gear:
    """Use it with `with`; its ports are `NAME:out` and `NAME:in`.

    Attributes:
        heard: Frames and bytes of what came in.
        slipped: Messages whose frame had passed when they were written.
    """

    def __init__(self, name: str) -> None:
        import jack

        self.client: Any = jack.Client(name, no_start_server=True)
        self._out = self.client.midi_outports.register("out")
        self._in = self.client.midi_inports.register("in")
        self._waiting: deque[tuple[int, bytes]] = deque()
        self.heard: list[tuple[int, bytes]] = []
        self.slipped = 0
        self.client.set_process_callback(self._process)

    def send(self, messages: list[tuple[int, bytes]]) -> None:
        """Sends each message at its frame of JACK's clock; they are in order of their frames."""
        self._waiting.extend(messages)

    @property
    def now(self) -> int:
        """The present frame."""
        return int(self.client.frame_time)

    def _process(self, frames: int) -> None:
        now, least = self.client.last_frame_time, 0
        self._out.clear_buffer()
        while self._waiting and self._waiting[0][0] < now + frames:
            at, data = self._waiting.popleft()
            self.slipped += at < now
            # a cycle that JACK left out puts what is behind its time at the next one's beginning
            least = max(least, at - now)
            self._out.write_midi_event(least, data)
        for offset, data in self._in.incoming_midi_events():
            self.heard.append((now + offset, bytes(data)))

    def __enter__(self) -> Gear:
        self.client.activate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.deactivate(ignore_errors=True)
        self.client.close(ignore_errors=True)
