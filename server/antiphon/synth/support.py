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
    """Playing a file repeatedly, for a backend that computes the sound of the whole file at once.

    A pass plays the file from beginning to end. In the first the backend collects the notes; each later one plays the
    sound computed from the notes of the pass before, because that sound may itself change the notes. `render` and
    `replay` call `begin` before each pass and `done` after it until `done` returns True; the output of these passes is
    discarded. The pass that follows is written to the file, without a further `begin`.
    """

    def begin(self) -> None:
        """Prepares the next pass: sets the backend that plays it, by `use_backend`."""

    def done(self, frames: int, rate: int) -> bool:
        """Ends a pass, and computes the sound for the next.

        Args:
            frames: Frames of sound that the next pass needs.
            rate: Frames per second.

        Returns:
            Whether the next pass is the one to be written. Then its backend has been set as by `begin`.
        """


class SynthSupport:
    """What a backend does outside its worker: base of the class that `SynthInfo.support` names.

    The methods have defaults that do nothing: a backend overrides those that it needs. The supervisor, the engine's
    loader and the command line make a new object for each use, so it keeps no state. Large libraries are to be
    imported within the methods, because the command line imports the module for a single question.

    Args:
        info: The backend's description.

    Attributes:
        info: The backend's description.
    """

    def __init__(self, info: SynthInfo) -> None:
        self.info = info

    def delay(self, rate: int, hop: int) -> int:
        """Computes the backend's own latency, which is added to the hop that every worker needs.

        Args:
            rate: Frames per second.
            hop: Frames of a hop.

        Returns:
            Hops.
        """
        return 0

    def playable(self, settings: SynthSettings, *, instead: bool) -> SynthSettings:
        """Checks a node's settings, and replaces what the backend has not. In the engine's loader, before the stream.

        Args:
            settings: The node's settings.
            instead: The backend replaces one that failed. Then it substitutes the nearest that it has rather than
                refuse the node.

        Returns:
            The settings to play with.

        Raises:
            ParamError: The backend does not play this instrument or SynthDef.
            FileError: A file that the settings name cannot be used.
        """
        return settings

    def check_option(self, value: str) -> None:
        """Checks the value of `info.option`: in the command line, before anything is started.

        Args:
            value: As given to `serve`.

        Raises:
            UsageError: The option does not take this value.
        """

    def with_option(self, choice: BackendChoice, value: str, rate: int) -> BackendChoice:
        """Applies the value of `info.option`: in the supervisor, before the engine is started.

        Args:
            choice: The backend as it plays without the option.
            value: The option's value, which `check_option` accepted.
            rate: Frames per second of the server.

        Returns:
            The backend and its settings for this server.

        Raises:
            EngineError: It cannot be played with this value.
        """
        return choice

    def clear(self, since: float) -> None:
        """Removes what the backend's workers left: processes, files. After all processes of a server have ended.

        It must not raise: the supervisor ends after it.

        Args:
            since: When the server started, in seconds as `time.time` gives them.
        """

    def passes(self, live: int) -> AbstractContextManager[OfflinePasses] | None:
        """Begins a render of a file, for `render` and `replay`.

        Args:
            live: Frames of a block of the set that `replay` plays; 0 in `render`.

        Returns:
            The passes, as a context that lasts until the file is written; None for a backend that renders files hop
            by hop, as it plays.
        """
        return None

    def findings(self) -> Iterable[Finding]:
        """Checks what the backend needs, for `antiphon doctor`.

        Yields:
            What was found; by default whether `info.program` or `info.needs` is installed.
        """
        info = self.info
        what = info.program or info.needs
        if not what:
            return
        if info.installed:
            yield Finding(what, "works", f"plays notes with --synth {info.name}")
        else:
            yield Finding(what, "missing", f"not installed; --synth {info.name} needs it", info.install)
