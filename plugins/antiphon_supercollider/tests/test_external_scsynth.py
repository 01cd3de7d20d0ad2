"""Who answers at an address, and whether it can be joined: sentences. A socket stands for scsynth."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.each import each
from tests.waiting import until

from antiphon.api import EngineError, UsageError
from antiphon.api.backends import transports as osc
from antiphon.api.backends.transports import ServeSettings
from antiphon.kernel.synth.backends import with_options
from antiphon.kernel.wire.osc import Double
from antiphon_supercollider.address import scsynth_address
from antiphon_supercollider.external_client import (
    BUFFERS,
    BUFFERS_EACH,
    BUSES,
    CLIENTS,
    EACH,
    FIRST,
    PLACES,
    SHARES,
    layout_of,
    share_of,
)
from antiphon_supercollider.scsynth.external_scsynth import ExternalScsynth, Unanswered, meet

SLOTS = 8


class Fake:
    """Answers as it is told to."""

    def __init__(self, **answers: tuple[osc.Arg, ...]) -> None:
        self.answers = {f"/{name}".encode(): args for name, args in answers.items()}
        self.heard: list[osc.Message] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                data, whence = self._socket.recvfrom(65536)
            except OSError:
                return
            message = osc.decode(data)
            if not isinstance(message, osc.Message):
                continue
            self.heard.append(message)
            answer = self.answers.get(message.address)
            with contextlib.suppress(OSError):
                if answer is not None:
                    self._socket.sendto(osc.encode(*answer), whence)  # type: ignore[arg-type]

    def close(self) -> None:
        self._socket.close()


STATUS: tuple[osc.Arg, ...] = ("/status.reply", 1, 0, 0, 1, 0, 0.5, 0.8, Double(48000.0), Double(48001.3))
VERSION: tuple[osc.Arg, ...] = ("/version.reply", "scsynth", 3, 13, ".0", "", "na")


@pytest.fixture
def fakes() -> Iterator[list[Fake]]:
    made: list[Fake] = []
    yield made
    for fake in made:
        fake.close()


def test_who_is_there_is_asked(fakes: list[Fake]) -> None:
    fakes.append(Fake(status=STATUS, version=VERSION))
    assert meet(fakes[0].address, 48000).version == "3.13"
    with pytest.raises(EngineError, match="runs at 48000 Hz and the server at 44100; start with --rate 48000"):
        meet(fakes[0].address, 44100)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (("/version.reply", "scsynth", 3, 9, ".0", "", ""), "scsynth 3 9; Antiphon joins scsynth 3.10"),
        (("/version.reply", "supernova", 3, 13, ".0", "", ""), "supernova 3 13; Antiphon joins scsynth"),
        (None, "a server without a version"),
    ],
)
def test_another_version_is_named(fakes: list[Fake], version: tuple[osc.Arg, ...] | None, said: str) -> None:
    fakes.append(Fake(status=STATUS, **({"version": version} if version else {})))
    with pytest.raises(EngineError, match=said):
        meet(fakes[0].address, 48000)


def test_nobody_is_named() -> None:
    with pytest.raises(Unanswered, match=r"no scsynth answers at 127\.0\.0\.1:9; boot it"):
        meet(("127.0.0.1", 9), 48000)


def test_a_full_one_says_how_to_make_room(fakes: list[Fake], tmp_path: Path) -> None:
    fakes.append(Fake(notify=("/fail", "/notify", "too many users\n")))
    guest = ExternalScsynth(fakes[0].address, tmp_path)
    try:
        with pytest.raises(EngineError, match=r"takes no more clients; boot it with s\.options\.maxLogins = 8"):
            guest.enrol()
    finally:
        guest.close()


def test_what_was_promised_is_said_once_it_ends(fakes: list[Fake], tmp_path: Path) -> None:
    fakes.append(Fake(notify=("/done", "/notify", 3, 8)))
    guest = ExternalScsynth(fakes[0].address, tmp_path)
    guest.enrol()
    assert guest.number == 3
    guest.promise([osc.encode("/n_free", 77)])
    before = len(fakes[0].heard)
    guest.close()
    until(lambda: len(fakes[0].heard) == before + 2, 5.0, "both are heard")
    said = [(m.address, m.args) for m in fakes[0].heard[before:]]
    assert said == [(b"/n_free", (77,)), (b"/notify", (0,))]


@each("text", ["57110", "192.168.0.7:57110", "0.0.0.0:57110", "127.0.0.1:", "127.0.0.1:70000", "::1:5"])
def test_only_this_machine_is_joined(text: str) -> None:
    with pytest.raises(UsageError, match="a scsynth on this machine"):
        scsynth_address(text)


def test_joining_means_supercollider() -> None:
    assert with_options(ServeSettings(options={"scsynth": "localhost:57110"})).synth == "supercollider"
    with pytest.raises(UsageError, match="plays by something else"):
        with_options(ServeSettings(options={"scsynth": "127.0.0.1:57110"}, synth="pyo"))
    with pytest.raises(UsageError, match="a scsynth on this machine"):
        with_options(ServeSettings(options={"scsynth": "57110"}))


def test_two_take_different_shares() -> None:
    assert share_of(1, [1, 1000, -1]) == 1
    # another lives since long, and clients' numbers have come round to its buses
    first = FIRST + EACH * 1
    assert share_of(4, [first + 1, first + 900]) % SHARES != 1 % SHARES
    full = [FIRST + EACH * n for n in range(CLIENTS)]
    assert share_of(5, full) == 5
    assert share_of(5, full[:7] + full[8:]) == 7


def test_shares_of_clients_stay_apart_and_within_a_float() -> None:
    layouts = [layout_of(number, 2, 22, SLOTS) for number in range(CLIENTS)]
    assert all(layout.nodes + EACH <= 1 << 24 for layout in layouts)
    assert len({layout.nodes for layout in layouts}) == CLIENTS
    assert all(layout.held >= 0 for layout in layouts)
    first, second = layouts[:2]
    each = 2 * PLACES * SLOTS
    assert first.private + each == BUSES
    assert second.private + each == first.private
    assert (first.buffers + BUFFERS_EACH, second.buffers + BUFFERS_EACH) == (BUFFERS, first.buffers)
