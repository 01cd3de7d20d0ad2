"""MIDI libraries with callback threads: python-rtmidi, and mido's other backends."""

import importlib
import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Any

from antiphon.api.backends.runtime import ring

MAX_HELD = 1 << 20
"""Maximum queued bytes of one port; more is dropped and counted."""
OWN_PORT = "listens"
ALSA_CLIENTS = "/proc/asound/seq/clients"


class Inbox:
    """Bounded queue from one port's callback thread to the event loop; overflows are counted."""

    def __init__(self, bell: int) -> None:
        self._bell = bell
        self.queue: deque[tuple[int, bytes]] = deque()
        self._put = self._taken = 0
        self.dropped = 0

    def put(self, data: bytes) -> None:
        """Appends bytes and wakes the event loop; called in the library's thread."""
        if self._put - self._taken + len(data) > MAX_HELD:
            self.dropped += 1
            return
        self._put += len(data)
        self.queue.append((time.monotonic_ns(), data))
        ring(self._bell)

    def take(self) -> tuple[int, bytes]:
        item = self.queue.popleft()
        self._taken += len(item[1])
        return item


class _CallbackThreadBackend(ABC):
    """Base of backends whose library calls back in a thread."""

    name = ""
    dated = False

    def __init__(self, bell: int) -> None:
        self._bell = bell
        self._inboxes: dict[str, Inbox] = {}
        self._ins: dict[str, Any] = {}
        self._outs: dict[str, Any] = {}
        self._lost = 0

    @property
    def drop_count(self) -> int:
        return self._lost + sum(inbox.dropped for inbox in list(self._inboxes.values()))

    def hold(self, name: str) -> bool:
        """Returns False: these libraries do not report a disconnected port."""
        return False

    def take(self, most: int) -> Iterator[tuple[str, int, bytes]]:
        for name, inbox in list(self._inboxes.items()):
            while most and inbox.queue:
                most -= 1
                yield name, *inbox.take()

    def close_input(self, name: str) -> None:
        self._close(self._ins.pop(name))
        self._lost += self._inboxes.pop(name).dropped

    def close_output(self, name: str) -> None:
        self._close(self._outs.pop(name))

    def close(self) -> None:
        for name in list(self._ins):
            self.close_input(name)
        for name in list(self._outs):
            self.close_output(name)

    def send(self, name: str, message: bytes, ns: int = 0) -> None:
        port = self._outs.get(name)
        try:
            if port is None:
                raise OSError(name)
            self._send(port, message)
        except Exception:
            # the device has just gone, which the next scan detects
            self._lost += 1

    @abstractmethod
    def _send(self, port: Any, message: bytes) -> None:
        """Sends a message; may raise anything."""

    @abstractmethod
    def _close(self, port: Any) -> None:
        """Closes a port."""


class RtMidi(_CallbackThreadBackend):
    """python-rtmidi backend. It drops SysEx, which has no size limit there and is not used."""

    def __init__(self, client: str, bell: int, virtual: str, api: str) -> None:
        super().__init__(bell)
        self._rt: Any = importlib.import_module("rtmidi")
        self._api = getattr(self._rt, f"API_{api}") if api else self._rt.API_UNSPECIFIED
        if self._api and self._api not in self._rt.get_compiled_api():
            raise OSError("python-rtmidi was built without it")
        self._client, self._virtual = client, virtual
        self._look_in = self._rt.MidiIn(self._api, f"{client} looks")
        self._look_out = self._rt.MidiOut(self._api, f"{client} looks")
        self.name = self._rt.get_api_display_name(self._look_in.get_current_api())
        if virtual:
            self._listen(virtual, lambda port: port.open_virtual_port(virtual))

    def inputs(self) -> list[str]:
        """Names of inputs, without ports already connected to the virtual input, which would arrive twice."""
        connections = connected_addresses(_read(ALSA_CLIENTS), self._client, self._virtual) if self._virtual else set()
        return [n for n in self._others(self._look_in.get_ports()) if n.rpartition(" ")[2] not in connections]

    def outputs(self) -> list[str]:
        return self._others(self._look_out.get_ports())

    def _others(self, names: list[str]) -> list[str]:
        return [name for name in names if not name.startswith((f"{self._client}:", f"{self._client} looks:"))]

    def open_input(self, name: str) -> None:
        place = self._look_in.get_ports().index(name) if name in self.inputs() else -1
        if place < 0:
            raise OSError(f"{name} has gone")
        self._listen(name, lambda port: port.open_port(place, OWN_PORT))

    def _listen(self, name: str, opened: Any) -> None:
        port = self._rt.MidiIn(self._api, self._client)
        port.ignore_types(sysex=True, timing=False, active_sense=False)
        inbox = self._inboxes[name] = Inbox(self._bell)
        port.set_callback(lambda event, _data: inbox.put(bytes(event[0])))
        self._ins[name] = port
        try:
            opened(port)
        except Exception as error:
            self.close_input(name)
            raise OSError(str(error)) from error

    def open_output(self, name: str) -> None:
        names = self._look_out.get_ports()
        if name not in names:
            raise OSError(f"{name} has gone")
        port = self._rt.MidiOut(self._api, self._client)
        try:
            port.open_port(names.index(name), OWN_PORT)
        except Exception as error:
            port.delete()
            raise OSError(str(error)) from error
        self._outs[name] = port

    def _send(self, port: Any, message: bytes) -> None:
        port.send_message(message)

    def _close(self, port: Any) -> None:
        if hasattr(port, "cancel_callback"):
            # closed with its callback set, it could call a function that has been freed
            port.cancel_callback()
        port.close_port()
        port.delete()

    def close(self) -> None:
        super().close()
        self._look_in.delete()
        self._look_out.delete()


def connected_addresses(clients: str, client: str, port: str) -> set[str]:
    """Addresses, such as "20:0", connected to a port, from the ALSA sequencer's list of clients."""
    names: set[str] = set()
    ours = here = False
    for line in clients.splitlines():
        words = line.strip()
        if words.startswith("Client "):
            ours, here = f'"{client}"' in words, False
        elif words.startswith("Port "):
            here = ours and f'"{port}"' in words
        elif here and words.startswith("Connected From:"):
            names.update(re.findall(r"\d+:\d+", words))
    return names


def _read(path: str) -> str:
    """Text of a file, "" if it is missing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


class Mido(_CallbackThreadBackend):
    """Other mido backends, by module name."""

    def __init__(self, module: str, api: str, bell: int, virtual: str) -> None:
        super().__init__(bell)
        self._backend: Any = importlib.import_module("mido").Backend(module, api=api or None, load=True)
        self.name = module.rpartition(".")[2]
        if virtual:
            self._listen(virtual, virtual=True)

    def inputs(self) -> list[str]:
        return list(self._backend.get_input_names())

    def outputs(self) -> list[str]:
        return list(self._backend.get_output_names())

    def open_input(self, name: str) -> None:
        self._listen(name)

    def _listen(self, name: str, **how: bool) -> None:
        inbox = self._inboxes[name] = Inbox(self._bell)
        try:
            self._ins[name] = self._backend.open_input(name, callback=lambda m: inbox.put(bytes(m.bytes())), **how)
        except Exception as error:
            del self._inboxes[name]
            raise OSError(str(error)) from error

    def open_output(self, name: str) -> None:
        try:
            self._outs[name] = self._backend.open_output(name)
        except Exception as error:
            raise OSError(str(error)) from error

    def _send(self, port: Any, message: bytes) -> None:
        port.send(importlib.import_module("mido").Message.from_bytes(message))

    def _close(self, port: Any) -> None:
        port.close()
