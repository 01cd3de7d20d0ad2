"""What carries commands into the server and values out of it: MIDI, MQTT, and what a plugin adds."""

from __future__ import annotations

from antiphon.contract.addresses import AddressList
from antiphon.runtime.settings import ServeSettings
from antiphon.session.actions import EVENTS as NODE_EVENTS, NodeEvent
from antiphon.session.effects import EngineEffect
from antiphon.session.node_state import Node
from antiphon.session.osc_request import OscRequest
from antiphon.session.steering import LEAP, same_tempo, steered_tempo
from antiphon.session.transport import PRESSABLE, Transport, pressable, pressed_message, settable
from antiphon.session.transport_server import EmittedEvent, Learner, TransportServer
