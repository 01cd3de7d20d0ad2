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
    """What the factory of `antiphon_synths` gives.

    backend: "module:Name" of the `SynthBackend`, imported in the worker and called with rate, hop, slots and
    `settings`.  zygote: as in `WorkerSpec`.  needs: the module that has to be installed, "" for none.
    program: the program that has to be.  install: how.
    slots: synth nodes it plays.  memory: MB.  behind: (rate, hop) → hops by which its answers are behind, "" for none;
    "module:name".  crowd: events it takes in a hop, for each frame of it.
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
        if self.program:
            return shutil.which(self.program) is not None
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def delay(self, rate: int, hop: int) -> int:
        """Hops by which its answers are behind, beyond the one that every worker has."""
        return int(named(self.behind)(rate, hop)) if self.behind else 0

    def worker(self, rate: int, hop: int, settings: Mapping[str, Value] | None = None) -> WorkerSpec:
        """Its worker in a stream of that rate, playing hops of so many frames."""
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
SUPERCOLLIDER = SynthInfo(
    "supercollider", "antiphon.synth.sc.backend:SuperCollider", "none", program="scsynth", slots=8, memory=2048,
    behind="antiphon.synth.sc.timing:delay", crowd=0.25, install="sudo apt-get install supercollider-server",
)  # fmt: skip
NULL = SynthInfo("null", "antiphon.synth.null:Null", "none")
SILENT = "antiphon: pyo is not installed, so that notes are not heard: pip install pyo"
ORDER = ("pyo", "null")
"""What auto takes, the first that is installed."""


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """A backend, and what its worker is told beside. instead: it plays because another was given up."""

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
    """What this process plays notes with from here on."""
    global _chosen
    _chosen = choice


def chosen() -> BackendChoice:
    """What this process plays notes with: pyo, or what there is, unless told otherwise."""
    return _chosen or BackendChoice(PYO if PYO.installed else NULL)
