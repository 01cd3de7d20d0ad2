"""Control's end of an engine that is not there, and what it would read."""

import os
import socket
from collections.abc import Iterator

import pytest
from tests.engine.fake_driver import BLOCK
from tests.local import RATE

from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import MappingShape, Shared
from antiphon.kernel.runtime.processes.child_process import socket_pair


class Ends:
    """The shared memory, the bell, and both ends of the socket."""

    def __init__(self) -> None:
        self.shared, self.bell = Shared.create(MappingShape.of(RATE, BLOCK, 2)), os.eventfd(0, os.EFD_NONBLOCK)
        self.ours, self.theirs = socket_pair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.link = RemoteEngine(self.shared, self.bell, self.ours)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.ours.close()
    made.theirs.close()
    os.close(made.bell)
    os.close(made.shared.fd)


@pytest.fixture(scope="module")
def memory() -> Iterator[Shared]:
    made = Shared.create(MappingShape(48000, 64, 2, 16))
    yield made
    os.close(made.fd)
