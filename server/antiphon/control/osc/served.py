"""The parts of the server that the handlers of OSC messages call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from antiphon.contract.catalog import Catalog
from antiphon.control.commands.captures import Captures
from antiphon.control.commands.engine_clock import EngineClock
from antiphon.control.commands.executor import CommandExecutor
from antiphon.control.commands.syncs import Syncs
from antiphon.control.osc.intake import Intake
from antiphon.control.osc.library_questions import LibraryQuestions
from antiphon.control.osc.note_watch import NoteWatch
from antiphon.control.osc.patch_questions import PatchQuestions
from antiphon.control.osc.script_gate import ScriptGate
from antiphon.control.osc.unknown_words import UnknownWords
from antiphon.control.patches.plans import Plans
from antiphon.control.patches.set_list_player import Sets
from antiphon.control.patches.set_position import SetPosition
from antiphon.control.saver import StateSaver
from antiphon.control.subscribers.feedback import Feedback
from antiphon.control.subscribers.monitor import Monitor
from antiphon.control.subscribers.replies import Replies
from antiphon.control.subscribers.subscribers import Subscribers
from antiphon.engine.remote import RemoteEngine
from antiphon.session.session import Session
from antiphon.session.transport_server import Learner


class Learning(Protocol):
    """Source of the learner that maps controllers, such as `Transports`."""

    @property
    def learner(self) -> Learner | None:
        """What maps a controller to a parameter; None where no transport can."""


class OscServer(Protocol):
    """The parts of the server; see `ControlApp`.

    Attributes:
        session_header: Gives the header of a recorded session's log.
    """

    link: RemoteEngine
    session: Session
    catalog: Catalog
    clock: EngineClock
    executor: CommandExecutor
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
