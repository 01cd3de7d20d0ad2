"""What carries commands into the server and values out of it: MIDI, MQTT, and what a plugin adds."""

from __future__ import annotations

from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.actions import EVENTS as NODE_EVENTS, NodeEvent
from antiphon.kernel.session.effects import EngineEffect
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.osc_request import OscRequest
from antiphon.kernel.session.steering import LEAP, same_tempo, steered_tempo
from antiphon.kernel.session.transport import PRESSABLE, Transport, pressable, pressed_message, settable
from antiphon.kernel.session.transport_server import EmittedEvent, Learner, TransportServer
