"""What `bench live` takes of another program's bundles."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from tests.waiting import until

from antiphon.kernel.wire.osc import encode, encode_bundle
from antiphon_bench import sustained


def test_a_bundle_counts_with_the_time_that_it_is_due_and_a_message_alone_does_not() -> None:
    arrivals: list[tuple[float, float]] = []
    ended = threading.Event()
    due = time.time() + 10.5
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(sustained.POLL_SECONDS)
        reading = threading.Thread(target=sustained.read_bundles, args=(sink, arrivals, ended))
        reading.start()
        message = encode("/s_new", 1)
        peer.sendto(message, sink.getsockname())
        peer.sendto(encode_bundle(round((due + 2_208_988_800) * 2**32), [message]), sink.getsockname())
        until(lambda: arrivals, 20, "no bundle has come")
        ended.set()
        reading.join()
    assert len(arrivals) == 1
    assert arrivals[0][0] < arrivals[0][1] == pytest.approx(due, abs=1e-5)
