"""A question to control that was given up is not answered to the next one."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from antiphon.kernel.wire.osc import Message, decode, encode
from antiphon.web import osc_socket
from antiphon.web.http_message import HttpRefusal
from antiphon.web.osc_socket import OscRefusals


@pytest.fixture
def control() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


async def heard(control: socket.socket) -> tuple[Message, tuple[str, int]]:
    data, peer = await asyncio.get_running_loop().sock_recvfrom(control, 65536)
    message = decode(data)
    assert isinstance(message, Message)
    return message, peer


async def test_a_late_capture_is_not_the_next_ones(control: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osc_socket, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(osc_socket, "DONE_SECONDS", 0.05)
    refusals = OscRefusals(control.getsockname())
    try:
        with pytest.raises(HttpRefusal, match="has not been answered"):
            await refusals.ask("/capture", "/capture.reply", 1)
        (_, first), (ping, _) = await heard(control), await heard(control)
        assert ping.address == b"/ping"
        monkeypatch.setattr(osc_socket, "TIMEOUT_SECONDS", 30.0)
        monkeypatch.setattr(osc_socket, "DONE_SECONDS", 30.0)
        asked = asyncio.create_task(refusals.ask("/capture", "/capture.reply", 2))
        (_, second), (ping, _) = await heard(control), await heard(control)
        control.sendto(encode("/capture.reply", "first.wav"), first)
        for answer in (encode("/pong", *ping.args), encode("/capture.reply", "second.wav")):
            control.sendto(answer, second)
        assert await asked == ("second.wav",)
    finally:
        await refusals.close()


async def test_ask_timed_out_leaves_others_refusal(control: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osc_socket, "DONE_SECONDS", 0.05)
    refusals = OscRefusals(control.getsockname())
    try:
        monkeypatch.setattr(osc_socket, "TIMEOUT_SECONDS", 30.0)
        sent = asyncio.create_task(refusals.send("/tempo", -1.0))
        (_, sender), _ping = await heard(control), await heard(control)
        monkeypatch.setattr(osc_socket, "TIMEOUT_SECONDS", 0.05)
        with pytest.raises(HttpRefusal, match="has not been answered"):
            await refusals.ask("/capture", "/capture.reply", 1)
        assert not sent.done()
        control.sendto(encode("/fail", "/tempo", "tempo takes 20 to 400"), sender)
        with pytest.raises(HttpRefusal, match="takes 20 to 400"):
            await sent
    finally:
        await refusals.close()
