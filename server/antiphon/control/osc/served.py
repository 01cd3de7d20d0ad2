"""The parts of the server that the handlers of OSC messages and the services of control call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from antiphon.contract.catalog import Catalog
from antiphon.control.commands.captures import Captures
from antiphon.control.commands.engine_clock import EngineClock
from antiphon.control.commands.executor import CommandExecutor
from antiphon.control.commands.outbox import Outbox
from antiphon.control.commands.syncs import Syncs
from antiphon.control.commands.turns import Turns
from antiphon.control.faults import ControlFaults
from antiphon.control.osc.intake import Intake
from antiphon.control.osc.library_questions import LibraryQuestions
from antiphon.control.osc.note_watch import NoteWatch
from antiphon.control.osc.patch_questions import PatchQuestions
from antiphon.control.osc.route import AddressRoute
from antiphon.control.osc.script_gate import ScriptGate
from antiphon.control.osc.unknown_words import UnknownWords
from antiphon.control.patches.plans import Plans
from antiphon.control.patches.set_list_player import Sets
from antiphon.control.patches.set_position import SetPosition
from antiphon.control.saver import StateSaver
from antiphon.control.server_events import ServerEvents
from antiphon.control.state import StateFolder
from antiphon.control.subscribers.clients import Access, Surfaces
from antiphon.control.subscribers.feedback import Feedback
from antiphon.control.subscribers.monitor import Monitor
from antiphon.control.subscribers.replies import Replies
from antiphon.control.subscribers.subscribers import Subscribers
from antiphon.engine.remote import RemoteEngine
from antiphon.session.router import Router
from antiphon.session.session import Session
from antiphon.session.transport_server import Learner

Service: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Work that runs as long as the server, and is begun anew where it fails."""


class Learning(Protocol):
    """Source of the learner that maps controllers, such as `Transports`."""

    @property
    def learner(self) -> Learner | None:
        """What maps a controller to a parameter; None where no transport can."""


class OscServer(Protocol):
    """The parts of the server; see `ControlApp`.

    Attributes:
        services: By name the work that runs as long as the server.
        session_header: Gives the header of a recorded session's log.
    """

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
    plans: Plans
    sets: Sets
    position: SetPosition
    library: LibraryQuestions
    patch_questions: PatchQuestions
    unknown_words: UnknownWords
    session_header: Callable[[], dict[str, Any]]

    @property
    def transports(self) -> Learning:
        """The transports."""

    def counts(self) -> dict[str, int]:
        """Every counter by name, since the server's start."""
