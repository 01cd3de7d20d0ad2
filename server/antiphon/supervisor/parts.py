"""What a supervisor makes before it starts anybody: the parts that outlive each of its children."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from antiphon.engine.drivers.probe import Found
from antiphon.engine.shared import MappingShape, Shared
from antiphon.runtime.child_process import pair
from antiphon.runtime.settings import ServeSettings
from antiphon.workers import devices, zygote
from antiphon.workers.arena import Arena, Bells

Sockets = tuple[socket.socket, socket.socket, socket.socket]


@dataclass(frozen=True, slots=True)
class Parts:
    """Sockets, mappings and bells.

    settings: with the ports, the rate and the block that are played.  sockets: OSC UDP, OSC TCP, HTTP.  bell: rung
    by control for the engine.  engine and control, recorder and asking, parent and child, weigher and
    asking_weigher, web and answering_web: the two ends of a socket each.
    """

    settings: ServeSettings
    found: Found
    device: devices.Device
    sockets: Sockets
    shared: Shared
    arena: Arena
    bells: Bells
    bell: int
    engine: socket.socket
    control: socket.socket
    recorder: socket.socket
    asking: socket.socket
    parent: socket.socket
    child: socket.socket
    weigher: socket.socket
    asking_weigher: socket.socket
    web: socket.socket
    answering_web: socket.socket

    @staticmethod
    def make(settings: ServeSettings, found: Found, device: devices.Device, sockets: Sockets) -> Parts:
        shared = Shared.create(MappingShape.of(settings.rate, settings.block, settings.channels))
        bell = os.eventfd(0, os.EFD_NONBLOCK)
        os.set_inheritable(bell, True)
        engine, control = pair()
        recorder, asking = pair()
        parent, child = pair()
        # a control that dies again and again before it reads must not hold its supervisor up
        parent.setblocking(False)
        weigher, asking_weigher = pair()
        web, answering_web = pair()
        return Parts(
            settings, found, device, sockets, shared, Arena.create(zygote.HANG), Bells.make(), bell,
            engine, control, recorder, asking, parent, child, weigher, asking_weigher, web, answering_web,
        )  # fmt: skip
