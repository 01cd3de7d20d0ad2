"""What a supervisor starts and asks beside the kernel: other processes, the recorder, the synth backend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.importing import Factory
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.workers.arena import Arena
from antiphon.kernel.workers.spec import WorkerSpec

ReadSound = Callable[[Path, int], Samples]
"""A sound file as float32 `[channels, frames]` at a rate in Hz; raises `FileError`."""
Registrations: TypeAlias = Mapping[str, Factory]
"""What plugins register by a hook, by name."""
Begin = list[dict[str, Any]]
"""Messages to a recorder about the recordings that start with the first block."""


class NoteBackend:
    """What plays nodes' notes in a worker. This base plays none; `antiphon.backends.serving` has the one that does."""

    def request(self, settings: ServeSettings) -> tuple[str, bool]:
        """The program by which it plays through JACK, "" for none; and whether the settings name one that runs."""
        return "", False

    def choose(self, settings: ServeSettings, registered: Registrations, folder: Path) -> None:
        """Chooses the backend, for this process and those forked from it. Raises `UsageError`, `PluginError`."""

    @property
    def choice(self) -> Any:
        """The choice, to `use` it in a process that was not forked."""

    def use(self, choice: Any) -> None:
        """Plays by a choice of another process."""

    def zygote(self) -> tuple[str, str]:
        """Kind and imports of the process that its worker is forked from."""
        return "none", ""

    def worker(self, rate: int, block: int) -> WorkerSpec | None:
        """Its worker, which an engine opens as it begins."""
        return None

    def replace_failed(self, arena: Arena, registered: Registrations, say: Callable[[str], None]) -> bool:
        """Chooses another one, for the next engine, if its worker was given up. Returns whether it did."""
        return False

    def silence(self, settings: ServeSettings, registered: Registrations) -> str:
        """Why notes make no sound; "" where they do."""
        return ""

    def clear(self, since: float) -> None:
        """Removes what its workers left since that time, in seconds of the epoch, once all processes ended."""


def _nothing(*_: object) -> None:
    pass


def _no_header(settings: ServeSettings) -> dict[str, Any]:
    return {}


def _refuse_sound_file(path: Path, rate: int) -> Samples:
    raise FileError(f"cannot read {path}: the kernel alone decodes no sound files; antiphon serve does")


class Recording(Protocol):
    """The recorder, its first requests, and what they may take; `antiphon.recording.requests`."""

    BEGIN_SECONDS: float

    @property
    def run(self) -> Callable[..., None]:
        """Main function of the recorder's process."""

    def first_requests(
        self, settings: ServeSettings, folder: Path, notes: list[str], header: Callable[[ServeSettings], dict[str, Any]]
    ) -> Begin:
        """Messages for the first recorder; lines for the performer are appended to `notes`."""

    def resume_requests(self, folder: Path, notes: list[str]) -> Begin:
        """Messages for a recorder that replaces a killed one."""

    def check_begun(self, begin: Begin, line: bytes | None) -> None:
        """Checks a recorder's answer, None for no answer. Raises FileError: a recording cannot begin."""

    def undo(self, begin: Begin) -> None:
        """Removes the files that a failed start created."""


@dataclass(frozen=True, slots=True)
class Companions:
    """The processes other than the kernel's, which are started and restarted with them."""

    web: str = ""  # module of the process that serves HTTP; "" for none
    performer: str = ""  # module of the process that performs the scripts of pages, with `--live`
    secrets: Callable[[], None] = _nothing  # makes what `--lan` needs, in a process of its own; raises `FileError`
    ready: Callable[[ServeSettings], None] = _nothing
    read: ReadSound = _refuse_sound_file  # decodes the file of `--input`
    takes: Mapping[str, str] = field(default_factory=dict)  # what writes sets and tracks, as of `Recording.run`
    header: Callable[[ServeSettings], dict[str, Any]] = _no_header  # what begins the log of a set
    export: tuple[str, ...] = ()  # command that completes a folder of tracks, as of `Recording.run`
    strips: str = ""  # module of the process that plays strips at ports of their own
    recording: Recording | None = None  # without it nothing is recorded
    notes: NoteBackend = field(default_factory=NoteBackend)
    control: tuple[str, ...] = ()  # "module:function" of each part that joins the control process, as of `Joining`
