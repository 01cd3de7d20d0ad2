"""Which backends there are and which one this process plays with, as plain data: no synth is imported."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from antiphon.contract.params import Value
from antiphon.errors import PluginError, UsageError
from antiphon.plugins.reasons import reason_of
from antiphon.runtime.importing import named
from antiphon.synth.backend import shape_in
from antiphon.synth.support import SynthSupport
from antiphon.workers import pool
from antiphon.workers.spec import WorkerSpec

TOLD = "synth-told.jsonl"
"""Where the null synth of a server writes what it was told, in the server's folder."""
PREFIX = "synth/"
"""Of the name of a synth's worker."""


@dataclass(frozen=True, slots=True)
class ServeOption:
    """An option of `serve` that a backend adds; a server given it plays by that backend. It takes one text.

    Args:
        name: As it is spelled on the command line, without the dashes.
        doc: For `antiphon serve --help`.
    """

    name: str
    doc: str


@dataclass(frozen=True, slots=True)
class SynthInfo:
    """A synth backend, as data: what the factory of `antiphon_synths` returns. Its module imports no synth.

    Attributes:
        name: What `--synth` takes.
        backend: "module:Name" of the `SynthBackend`, imported in the worker and called with rate, hop, slots and
            settings.
        zygote: As in `WorkerSpec`: the process that the worker is forked from.
        needs: A module that has to be installed, or "".
        program: A program that has to be installed, or ""; where it is given, `needs` is not checked.
        install: The command that installs it.
        slots: Synth nodes that one worker plays.
        memory: Megabytes the worker may take.
        crowd: Events a node may play for each frame of a hop; a node drops and counts what is more.
        imports: As in `WorkerSpec`: the module that the zygote imports before it forks.
        describe: As in `WorkerSpec`: "module:name" of what adds to the worker's status, or "".
        support: "module:Name" of the `SynthSupport` subclass that does the backend's work outside its worker; "" for
            `SynthSupport` itself.
        option: The option that `serve` has for this backend, or None.
        auto: Place in the order in which `--synth auto` tries the backends that are installed, from 1; 0: it is
            played by name only.
        jack: The backend plays through JACK: the supervisor starts a JACK server where there is none, unless `option`
            was given.
        fallback: Where the worker has failed for good, `--synth auto` chooses another backend, which plays from then
            on with `BackendChoice.instead`. False: the nodes stay silent.
    """

    name: str
    backend: str
    zygote: str = "none"
    needs: str = ""
    program: str = ""
    install: str = ""
    slots: int = 16
    memory: int = 1024
    crowd: float = 1e9
    imports: str = ""
    describe: str = ""
    support: str = ""
    option: ServeOption | None = None
    auto: int = 0
    jack: bool = False
    fallback: bool = False

    @property
    def installed(self) -> bool:
        """Whether module and program are there."""
        if self.program:
            return shutil.which(self.program) is not None
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def supporter(self) -> SynthSupport:
        """Makes what does the backend's work outside its worker.

        Returns:
            A new object of the class that `support` names.

        Raises:
            PluginError: The module has no such class.
            ImportError: There is no such module.
        """
        support: SynthSupport = (named(self.support) if self.support else SynthSupport)(self)
        return support

    def delay(self, rate: int, hop: int) -> int:
        """Computes how late its sound is, beyond the hop that every worker needs.

        Args:
            rate: Frames per second.
            hop: Frames of a hop.

        Returns:
            Hops.
        """
        return self.supporter().delay(rate, hop) if self.support else 0

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
            imports=self.imports,
            describe=self.describe,
            hop=hop,
            rate=rate,
            inputs=shape_in(),
            outputs=(2, hop),
            slots=self.slots,
            depth=16,
            memory=self.memory,
            settings={"backend": self.backend, **(settings or {})},
        )


NULL = SynthInfo("null", "antiphon.synth.null:Null", auto=100)
"""No sound: notes are written into a file."""


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


Registered = Mapping[str, Callable[[], SynthInfo]]
"""The factories of `antiphon_synths`, by name."""


def choose(asked: str, registered: Registered) -> SynthInfo:
    """The backend that "auto" or a name comes to.

    Raises:
        UsageError: There is none of that name, or it is not installed.
        PluginError: Its plugin gives none.
    """
    if asked == "auto":
        for info in installed_infos(registered):
            if info.auto and info.installed:
                return info
        raise UsageError(f"no synth is installed; there are: {', '.join(registered) or 'none'}")
    if asked not in registered:
        raise UsageError(f"--synth takes auto, {', '.join(sorted(registered))}; there is no {asked!r} here")
    try:
        info = registered[asked]()
    except Exception as error:
        raise PluginError(f"the synth {asked!r} cannot be made: {reason_of(error)}") from error
    if not isinstance(info, SynthInfo):
        raise PluginError(f"the factory of the synth {asked!r} gave {type(info).__name__}, not a SynthInfo")
    if not info.installed:
        what, how = info.program or info.needs, info.install or "pip install it"
        raise UsageError(f"--synth {asked} needs {what}, which is not installed: {how}")
    return info


def installed_infos(registered: Registered) -> list[SynthInfo]:
    """What the factories give: first what `auto` tries, in its order. What one fails to give is left out."""
    found = []
    for make in registered.values():
        try:
            info = make()
        except Exception:
            continue  # it is said where that synth is asked for
        if isinstance(info, SynthInfo):
            found.append(info)
    return sorted(found, key=lambda info: (info.auto == 0, info.auto, info.name))


def silence(registered: Registered) -> str:
    """Why `auto` came to silence, for a person."""
    first = installed_infos(registered)[0]
    if first.name == NULL.name:
        return "no synth is registered, so that notes are not heard"
    what, how = first.program or first.needs, first.install or "pip install it"
    return f"{what} is not installed, so that notes are not heard: {how}"


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
        What `use_backend` set; otherwise what `--synth auto` chooses, and `NULL` where a processor is only checked.

    Raises:
        UsageError: No backend is installed.
    """
    if _chosen is not None:
        return _chosen
    return BackendChoice(NULL if pool.only_tried() else _automatic())


@cache
def _automatic() -> SynthInfo:
    from antiphon.plugins import registry

    return choose("auto", registry.factories("synths"))
