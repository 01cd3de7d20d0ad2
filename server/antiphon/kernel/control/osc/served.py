"""Server interface for OSC handlers and control's services."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control.commands.captures import Captures
from antiphon.kernel.control.commands.engine_clock import EngineClock
from antiphon.kernel.control.commands.executor import CommandExecutor
from antiphon.kernel.control.commands.outbox import Outbox
from antiphon.kernel.control.commands.sound_device import Headphones, SoundDevice
from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.commands.turns import Turns
from antiphon.kernel.control.faults import ControlFaults
from antiphon.kernel.control.osc.arguments import AddressRoute
from antiphon.kernel.control.osc.intake import Intake
from antiphon.kernel.control.osc.note_watch import NoteWatch, PatchQuestions, UnknownWords
from antiphon.kernel.control.osc.script_gate import ScriptGate
from antiphon.kernel.control.patches.plans import Plans
from antiphon.kernel.control.patches.set_list_player import Sets
from antiphon.kernel.control.patches.set_position import SetPosition
from antiphon.kernel.control.server_events import ServerEvents
from antiphon.kernel.control.state import StateFolder, StateSaver
from antiphon.kernel.control.subscribers.clients import Access, Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.control.subscribers.monitor import Monitor
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.control.subscribers.subscribers import Subscribers
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.session.router import Router
from antiphon.kernel.session.session import Session
from antiphon.kernel.session.transport_server import Learner

Service: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Background task of the server, restarted on failure."""


class Learning(Protocol):
    """Source of the MIDI learner, such as `Transports`."""

    @property
    def learner(self) -> Learner | None:
        """The MIDI learner; None without a transport that has one."""


class OscServer(Protocol):
    """The parts of the server; see `ControlApp`."""

    link: RemoteEngine
    session: Session
    catalog: Catalog
    clock: EngineClock
    executor: CommandExecutor
    events: ServerEvents
    faults: ControlFaults
    turns: Turns
    outbox: Outbox
    router: Router[AddressRoute]
    folder: StateFolder
    services: list[tuple[str, Service]]
    access: Access
    surfaces: Surfaces
    saver: StateSaver
    replies: Replies
    feedback: Feedback
    intake: Intake
    scripts: ScriptGate
    subscribers: Subscribers
    monitor: Monitor
    note_watch: NoteWatch
    syncs: Syncs
    captures: Captures
    device: SoundDevice
    headphones: Headphones
    plans: Plans
    sets: Sets
    position: SetPosition
    patch_questions: PatchQuestions
    unknown_words: UnknownWords
    session_header: Callable[[], dict[str, Any]]

    @property
    def transports(self) -> Learning:
        """The transports."""

    def counts(self) -> dict[str, int]:
        """All counters by name, since the server's start."""
