"""A sender of OSC at a constant rate, in a process of its own."""

from __future__ import annotations

import multiprocessing
import socket
import time

from antiphon_bench.rig import message

PLAIN = ("/node/gain/gain", "/node/pan/place")


class Flood:
    """Sends `rate` parameter messages a second to a port of this machine. `sent` counts them after `run`."""

    def __init__(self, port: int, rate: int, addresses: tuple[str, ...] = PLAIN) -> None:
        self._port, self._rate, self._addresses = port, rate, addresses
        self.sent = 0

    def run(self, seconds: float) -> None:
        """Blocks until all are sent."""
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        process = context.Process(target=_send, args=(self._port, self._rate, seconds, self._addresses, queue))
        process.start()
        try:
            self.sent = queue.get(timeout=seconds * 3 + 60)
        finally:
            # the server is about to be ended
            process.terminate()
            process.join()


def _send(port: int, rate: int, seconds: float, addresses: tuple[str, ...], queue: multiprocessing.Queue[int]) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    packets = [message(a, (n % 10) / 10) for n in range(10) for a in addresses]
    begun = time.monotonic()
    sent = 0
    while True:
        now = time.monotonic() - begun
        due = min(int(now * rate), int(seconds * rate))
        while sent < due:
            sock.send(packets[sent % len(packets)])
            sent += 1
        if now >= seconds:
            break
        time.sleep(0.001)
    queue.put(sent)
