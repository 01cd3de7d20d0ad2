"""What a backend does outside its worker: in the supervisor, the engine's loader, commands on files, the doctor."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from antiphon.contract.finding import Finding
from antiphon.synth.backend import SynthSettings

if TYPE_CHECKING:
    from antiphon.synth.info import BackendChoice, SynthInfo


class OfflinePasses(Protocol):
    """A render by a backend that makes the sound of a whole file at once, from the notes of the pass before.

    `begin` stands before each pass and `done` after it, until `done` says that all is there; the pass after that is
    the one to be kept.
    """

    def begin(self) -> None:
        """Chooses what the next pass plays with."""

    def done(self, frames: int, rate: int) -> bool:
        """Whether the next pass is right. frames: in all."""


class SynthSupport:
    """Every method has a default that does nothing: a backend overrides those that it needs.

    Made anew for each call, and imported in no process that does not call: what is heavy is imported in the methods.
    """

    def __init__(self, info: SynthInfo) -> None:
        self.info = info

    def delay(self, rate: int, hop: int) -> int:
        """Hops by which its answers are behind, beyond the one that every worker has."""
        return 0

    def playable(self, settings: SynthSettings, *, instead: bool) -> SynthSettings:
        """What a node is to be played with. In the engine's loader, before the node's stream is opened.

        Args:
            settings: As the node has them.
            instead: This backend plays because another was given up: the nearest that it has is better than nothing.

        Raises:
            ParamError, FileError: The backend cannot play this.
        """
        return settings

    def check_option(self, value: str) -> None:
        """Raises `UsageError` where `serve` was given for `info.option` what it does not take."""

    def with_option(self, choice: BackendChoice, value: str, rate: int) -> BackendChoice:
        """What a server plays with that was given the option. Before anything is started.

        Raises:
            EngineError: It cannot be played so.
        """
        return choice

    def clear(self, since: float) -> None:
        """Takes away what its workers left, after all processes of a server have ended. Never raises.

        Args:
            since: When the server started, in seconds as `time.time` gives them.
        """

    def passes(self, live: int) -> AbstractContextManager[OfflinePasses] | None:
        """For `render` and `replay`; None for a backend that plays hop by hop in files as well.

        Args:
            live: Frames of a block of the set that is played again, 0 for a file.
        """
        return None

    def findings(self) -> Iterable[Finding]:
        """What `antiphon doctor` says of it."""
        info = self.info
        what = info.program or info.needs
        if not what:
            return
        if info.installed:
            yield Finding(what, "works", f"plays notes with --synth {info.name}")
        else:
            yield Finding(what, "missing", f"not installed; --synth {info.name} needs it", info.install)
