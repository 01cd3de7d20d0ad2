"""Transports, such as MIDI and MQTT, carry commands into the server and values out of it; timed commands; OSC.

A command is a performer's request as data; OSC packets are bytes for another program.
"""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.joining.steering import LEAP, same_tempo, steered_tempo
from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.errors import RequestError, WireError
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.actions import EngineEffect
from antiphon.kernel.session.commands import (
    NOW,
    ClearSchedule,
    Command,
    Now,
    NudgeBeat,
    Panic,
    Play,
    Sample,
    SetParam,
    SetTempo,
    SetTransport,
    When,
)
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.play import BEGIN as VALUES_BEGIN, note_params, plays
from antiphon.kernel.session.transport import Transport
from antiphon.kernel.session.transport_server import OscRequest, TransportServer
from antiphon.kernel.wire.ntp import from_unix_ns as timetag_of
from antiphon.kernel.wire.osc import IMMEDIATELY, Arg, Bundle, Double, Message, Packet, decode, encode, encode_bundle
from antiphon.synths.note_words import NoteWord, value_place

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
