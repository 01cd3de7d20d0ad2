"""A keyboard of a test's own: a JACK client that sends any bytes at any frame, in a process of its own.

python -m tests.real.keyboard NAME TARGET     connects to the first port with TARGET in its name, "" to none

It reads lines of its standard input: `FRAMES HEX` sends the bytes so many frames after the last ones (0: in the
next cycle), `end` ends it. Each is answered with a line once it is sent. A device library remembers servers that
are gone, so no test process of pytest's has it loaded for long.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from itertools import count
from pathlib import Path
from types import TracebackType

from tests.sources import PYTHONPATH

ROOT = Path(__file__).resolve().parents[2]


class Keyboard:
    """Such a process. Use it with `with`; leaving ends it without a goodbye, as a pulled plug does."""

    def __init__(self, name: str, target: str = "") -> None:
        path = os.pathsep.join([PYTHONPATH, str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.real.keyboard", name, target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._line() == "ready"

    def send(self, *data: int, after: int = 0) -> None:
        """Sends bytes as one event, and waits until that is done."""
        self.ask(f"{after} {bytes(data).hex()}")

    def ask(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()
        for line in lines:
            assert self._line() == "sent", line

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __enter__(self) -> Keyboard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def main(name: str, target: str) -> None:
    import jack

    client = jack.Client(name, no_start_server=True)
    out = client.midi_outports.register("out")
    waiting: deque[tuple[int, bytes]] = deque()
    place: list[int] = []
    done, settled = threading.Semaphore(0), threading.Event()
    cycles, connected = count(), False

    @client.set_process_callback  # type: ignore[misc]
    def process(frames: int) -> None:
        if connected and next(cycles) >= 20:  # a new connection carries what is written some cycles later
            settled.set()
        out.clear_buffer()
        now = client.last_frame_time
        while waiting:
            after, data = waiting[0]
            at = place[0] + after if after and place else now
            if at >= now + frames:
                return
            waiting.popleft()
            place[:] = [max(at, now)]
            out.write_midi_event(place[0] - now, data)
            done.release()

    with client:
        if target:
            client.connect(out, client.get_ports(target, is_midi=True, is_input=True)[0])
        connected = True
        settled.wait()
        print("ready", flush=True)
        for line in sys.stdin:
            after, _, data = line.strip().partition(" ")
            waiting.append((int(after), bytes.fromhex(data)))
            done.acquire()
            print("sent", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
