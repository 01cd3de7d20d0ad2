"""Which backends there are and which one this process plays with, as plain data: no synth is imported."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from antiphon.contract.params import Value
from antiphon.errors import UsageError
from antiphon.runtime.importing import named
from antiphon.synth.backend import shape_in
from antiphon.workers.spec import WorkerSpec

TOLD = "synth-told.jsonl"
"""Where the null synth of a server writes what it was told, in the server's folder."""
PREFIX = "synth/"
"""Of the name of a synth's worker."""


@dataclass(frozen=True, slots=True)
class SynthInfo:
    """A synth backend, as data: what the factory of `antiphon_synths` gives. It imports no synth.

    Attributes:
        name: What `--synth` takes.
        backend: "module:Name" of the `SynthBackend`, imported in the worker and called with rate, hop, slots and
            settings.
        zygote: What the worker has imported before it is forked: "torch", "pyo" or "none".
        needs: A module that has to be installed, or "".
        program: A program that has to be installed, or "".
        install: The command that installs it.
        slots: Synth nodes that one worker plays.
        memory: Megabytes the worker may take.
        behind: "module:name" of a function from rate and hop to the hops by which its sound is late, or "" for none.
        crowd: Events that it takes for each frame of a hop.
    """

    name: str
    backend: str
    zygote: str
    needs: str = ""
    program: str = ""
    install: str = ""
    slots: int = 16
    memory: int = 1024
    behind: str = ""
    crowd: float = 1e9

    @property
    def installed(self) -> bool:
        """Whether module and program are there."""
        if self.program:
            return shutil.which(self.program) is not None
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def delay(self, rate: int, hop: int) -> int:
        """Computes how late its sound is, beyond the hop that every worker needs.

        Args:
            rate: Frames per second.
            hop: Frames of a hop.

        Returns:
            Hops.
        """
        return int(named(self.behind)(rate, hop)) if self.behind else 0

    def worker(self, rate: int, hop: int, settings: Mapping[str, Value] | None = None) -> WorkerSpec:
        """Describes its worker.

        Args:
            rate: Frames per second.
            hop: Frames of a hop.
            settings: For the backend, besides rate, hop and slots.

        Returns:
            The worker's spec.
        """
        return WorkerSpec(
            name=PREFIX + self.name,
            factory="antiphon.synth.stepper:SynthStepper",
            zygote=self.zygote,
            hop=hop,
            rate=rate,
            inputs=shape_in(),
            outputs=(2, hop),
            slots=self.slots,
            depth=16,
            memory=self.memory,
            settings={"backend": self.backend, **(settings or {})},
        )


PYO = SynthInfo("pyo", "antiphon.synth.pyo:Pyo", "pyo", needs="pyo")
"""pyo, in a worker."""
SUPERCOLLIDER = SynthInfo(
    "supercollider", "antiphon.synth.sc.backend:SuperCollider", "none", program="scsynth", slots=8, memory=2048,
    behind="antiphon.synth.sc.timing:delay", crowd=0.25, install="sudo apt-get install supercollider-server",
)  # fmt: skip
"""scsynth, fed by a worker."""
NULL = SynthInfo("null", "antiphon.synth.null:Null", "none")
"""No sound: notes are written into a file."""
SILENT = "antiphon: pyo is not installed, so that notes are not heard: pip install pyo"
ORDER = ("pyo", "null")
"""What auto takes, the first that is installed."""


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """The backend that a process plays notes with.

    Attributes:
        info: The backend.
        settings: Names and values for it.
        instead: It plays because another one was given up.
    """

    info: SynthInfo
    settings: tuple[tuple[str, Value], ...] = ()
    instead: bool = False


def choose(asked: str, registered: Mapping[str, Callable[[], SynthInfo]]) -> SynthInfo:
    """The backend that "auto" or a name comes to. `UsageError` for one that is not there, with those that are."""
    infos = {name: make() for name, make in registered.items()}
    if asked == "auto":
        found = [infos[name] for name in ORDER if name in infos and infos[name].installed]
        if found:
            return found[0]
        raise UsageError(f"no synth is installed; there are: {', '.join(infos) or 'none'}")
    if asked not in infos:
        raise UsageError(f"--synth takes auto, {', '.join(sorted(infos))}; there is no {asked!r} here")
    if not infos[asked].installed:
        info = infos[asked]
        what, how = info.program or info.needs, info.install or "pip install it"
        raise UsageError(f"--synth {asked} needs {what}, which is not installed: {how}")
    return infos[asked]


_chosen: BackendChoice | None = None


def use(choice: BackendChoice | None) -> None:
    """Sets what this process plays notes with.

    Args:
        choice: The backend, or None for the default.
    """
    global _chosen
    _chosen = choice


def chosen() -> BackendChoice:
    """Finds what this process plays notes with.

    Returns:
        What `use_backend` set; otherwise pyo, or no sound where pyo is not installed.
    """
    return _chosen or BackendChoice(PYO if PYO.installed else NULL)
