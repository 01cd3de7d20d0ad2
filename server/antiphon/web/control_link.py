"""Web's end of the socket to control: sends one request at a time; equal requests share an answer."""

import asyncio
import contextlib
import random
import socket
from collections import deque
from dataclasses import dataclass
from typing import Any

from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import WireError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.graph.io_nodes import BUS_NUMBERS
from antiphon.kernel.wire.osc import Arg, Bundle, Packet, decode, encode
from antiphon.web.access import plain_ip
from antiphon.web.http_message import HttpRefusal
from antiphon.web.messages import MAX_NUMBER, PART, STARTED, Assembly, Topic, WebRequest
from antiphon.web.osc_socket import check_address

TIMEOUT_SECONDS = 10.0
"""Timeout in seconds for a request; a killed control process restarts within two."""
REPEAT_SECONDS = 3.0
"""Seconds until a request is repeated; at once if control reports a restart."""
MAX_WAITING = 64
"""Maximum queued requests; further ones are refused with 503."""
NO_ANSWER = "control does not answer; it is started again when it has died"
"""HttpRefusal of a request that the control process did not answer."""
MAX_NODE = 64
"""Maximum characters of a node's name."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Constant facts about a running server.

    `methods`: path, arguments and doc of every fixed OSC address; `osc_port`: the OSC port.
    """

    methods: tuple[tuple[str, str, str], ...]
    osc_port: int


@dataclass(frozen=True, slots=True)
class NodeValues:
    """A node with its parameters' last requested values."""

    node: NodeSpec
    values: dict[str, Value]


@dataclass(frozen=True, slots=True)
class _Waiting:
    topic: Topic
    about: str
    answer: asyncio.Future[Any]


class ControlLink:
    """Sends requests to control. `serve` must run as a task.

    Every query raises `HttpRefusal`: with control's own status and sentence, or 503 without an answer.
    """

    def __init__(self, link: socket.socket, osc: tuple[str, int]) -> None:
        """`link`: web's end of the socket; `osc`: host and port of the OSC socket."""
        link.setblocking(False)
        self._link, self.osc = link, osc
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        self._number = random.randrange(1, MAX_NUMBER // 2)
        self._waiting: deque[_Waiting] = deque()
        self._shared: dict[tuple[Topic, str], asyncio.Future[Any]] = {}
        self._more = asyncio.Event()

    async def addresses_and_port(self) -> ServerFacts:
        """The fixed OSC addresses and the OSC port."""
        data = await self._ask(Topic.ABOUT)
        return ServerFacts(tuple((path, args, doc) for path, args, doc in data["methods"]), data["osc_port"])

    async def status(self) -> dict[str, Any]:
        """Control's part of `GET /api/status`, with the present counters."""
        return dict(await self._ask(Topic.STATUS))

    async def nodes(self, only: str = "") -> list[NodeValues]:
        """The patch's nodes, then its input and output, each with its values; or `only` the one of that name."""
        found = await self._ask(Topic.NODES, only[:MAX_NODE])
        return [NodeValues(NodeSpec(name, type_), values) for name, type_, values in found]

    async def graph(self) -> dict[str, Any]:
        """The patch: its name, nodes with number and state, wires, and the numbers of the stored scenes."""
        return dict(await self._ask(Topic.GRAPH))

    async def scenes_and_macros(self) -> dict[str, Any]:
        """Scenes and macros of the patch: values of the "scenes" by number, "macros" as in a patch file."""
        return dict(await self._ask(Topic.STORED))

    async def numbers(self) -> dict[str, int]:
        """Engine number of each node by name, including `in`, `out`, `out.3-4` and `out.cue`."""
        return BUS_NUMBERS | {node["name"]: node["number"] for node in (await self.graph())["nodes"]}

    async def surfaces(self) -> dict[str, Any]:
        """IP addresses under "held" (without approval) and "approved", sorted, and all with their times."""
        return dict(await self._ask(Topic.SURFACES))

    async def approve(self, ip: str) -> bool:
        """Approves an IP address; returns False if the approval cannot be stored, and so ends with this run."""
        return bool(await self._ask(Topic.APPROVE, plain_ip(ip)))

    async def forget(self, ip: str) -> bool:
        """Revokes an approval; the return value is that of `approve`."""
        return bool(await self._ask(Topic.FORGET, plain_ip(ip)))

    def send(self, address: str, *args: Arg) -> None:
        """Sends an OSC message like any client of this machine, without waiting for its effect.

        Raises WireError: the message cannot be encoded, carries a script, or the socket is full.
        """
        self.forward(encode(address, *args))

    def forward(self, packet: bytes) -> None:
        """Sends an encoded OSC packet like `send`. Raises `WireError` also for an invalid packet."""
        _check(decode(packet))
        try:
            self._sender.sendto(packet, self.osc)
        except OSError as error:
            raise WireError(f"the message was not sent ({error.strerror}); try again") from None

    async def serve(self) -> None:
        """Sends the queued requests and distributes the answers, until it is cancelled."""
        while True:
            await self._more.wait()
            if not self._waiting:
                self._more.clear()
                continue
            asked = self._waiting.popleft()
            # a request made from here on must see a later state, so it does not share this answer
            self._shared.pop((asked.topic, asked.about), None)
            try:
                answer = await self._exchange(asked)
                if not asked.answer.done():
                    asked.answer.set_result(answer)
            except (HttpRefusal, WireError, OSError, ValueError) as error:
                refusal = (
                    error if isinstance(error, HttpRefusal) else HttpRefusal(503, f"control cannot be asked ({error})")
                )
                if not asked.answer.done():
                    asked.answer.set_exception(refusal)
                    asked.answer.exception()  # marks it as retrieved: the client may have disconnected

    def close(self) -> None:
        """Closes web's sockets; pending requests get no answer."""
        self._sender.close()
        self._link.close()

    async def _ask(self, topic: Topic, about: str = "") -> Any:
        changes = topic in (Topic.APPROVE, Topic.FORGET)  # in turn: one between two others would be the last
        answer = None if changes else self._shared.get((topic, about))
        if answer is None:
            if len(self._waiting) >= MAX_WAITING:
                raise HttpRefusal(503, "too much is asked of the server at once; try again", (("Retry-After", "1"),))
            answer = asyncio.get_running_loop().create_future()
            self._waiting.append(_Waiting(topic, about, answer))
            if not changes:
                self._shared[topic, about] = answer
            self._more.set()
        # cancelling one client's request must not cancel the answer that others share
        return await asyncio.shield(answer)

    async def _exchange(self, asked: _Waiting) -> Any:
        loop = asyncio.get_running_loop()
        self._number += 1
        request, assembly = WebRequest(self._number, asked.topic, asked.about), Assembly(self._number)
        with contextlib.suppress(BlockingIOError):
            while self._link.recv(2 * PART):
                pass  # answers to an earlier web process, or to a request that has failed
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while True:
                    await loop.sock_sendall(self._link, request.pack())
                    try:
                        async with asyncio.timeout(REPEAT_SECONDS):
                            return _data(await self._answer(assembly))
                    except TimeoutError:
                        continue
        except TimeoutError:
            raise HttpRefusal(503, NO_ANSWER) from None

    async def _answer(self, assembly: Assembly) -> Any:
        """Receives a complete answer; `TimeoutError` if control was restarted and must be asked again."""
        loop = asyncio.get_running_loop()
        while True:
            message = await loop.sock_recv(self._link, 2 * PART)
            if message == STARTED:
                raise TimeoutError
            answer = assembly.add(message)
            if answer is not None:
                return answer


def _data(answer: Any) -> Any:
    """Returns the data of an answer. Raises `HttpRefusal` if control refused."""
    if not isinstance(answer, dict) or "data" not in answer:
        raise HttpRefusal(int(answer.get("status", 400)), str(answer.get("error", "control refused")))
    return answer["data"]


def _check(packet: Packet) -> None:
    """Raises `WireError` for an invalid packet, and for one that carries a script."""
    if isinstance(packet, WireError):
        raise packet
    if isinstance(packet, Bundle):
        for item in packet.items:
            _check(item)
    else:
        check_address(packet.address.decode("latin-1"))
