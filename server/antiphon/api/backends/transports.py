"""Transports, such as MIDI and MQTT, carry commands into the server and values out of it; timed commands; OSC.

A command is a performer's request as data; OSC packets are bytes for another program.
"""

from typing import TYPE_CHECKING

import antiphon.kernel.runtime.importing as _importing
from antiphon.joining.controllers import pressable, pressed_message, settable
from antiphon.joining.steering import LEAP, same_tempo, steered_tempo
from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.errors import RequestError, WireError
from antiphon.kernel.graph.clips import PatchClip, clip_room
from antiphon.kernel.io.listening import open_ipv6_loopback as beside_on_ipv6
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.actions import EngineEffect, NodeSet
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
from antiphon.kernel.session.events import EVENTS
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.play import (
    BEGIN as VALUES_BEGIN,
    is_held,
    note_params,
    other_words,
    plays,
    read as play_commands,
)
from antiphon.kernel.session.transport import Transport
from antiphon.kernel.session.transport_server import OscRequest, TransportServer
from antiphon.kernel.wire.ntp import from_unix_ns as timetag_of
from antiphon.kernel.wire.osc import IMMEDIATELY, Arg, Bundle, Double, Message, Packet, decode, encode, encode_bundle
from antiphon.operations.lists import offered
from antiphon.synths.note_words import NoteWord, value_place

if not TYPE_CHECKING:  # a type checker would find every name
    _PLAY = "use Play(node, Event({}), when), with Event from antiphon.api"
    _PLAYED = "use Play, whose event has the kind, number, value and channel"
    _FORMER = {
        "NoteOn": _PLAY.format('"on", 0, note, velocity, channel'),
        "NoteOff": _PLAY.format('"off", 0, note, 0.0, channel'),
        "NotePitch": _PLAY.format('"pitch", 0, note, semitones, channel'),
        "NotePressure": _PLAY.format('"pressure", 0, note, value, channel'),
        "NoteTimbre": _PLAY.format('"timbre", 0, note, value, channel'),
        "Control": _PLAY.format('"control", 0, number, value, channel'),
        "Bend": _PLAY.format('"bend", 0, 0, value, channel'),
        **dict.fromkeys(("Note", "NodeEvent", "EmittedEvent"), _PLAYED),
        "NODE_EVENTS": "use isinstance(effect, Play)",
    }
    __getattr__ = _importing.refuse_former(__name__, _FORMER)
