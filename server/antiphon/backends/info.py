"""Declaration of a synth backend as plain data, the base of its support outside the worker, and the choice of one.

No synth is imported. The classes name each other: `SynthInfo` makes its `SynthSupport`, which may change the
`BackendChoice` that it is part of.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from antiphon.backends.backend import SynthSettings, shape_in
from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.runtime.importing import import_object, reason_of
from antiphon.kernel.runtime.settings import ServeOption, ServeSettings
from antiphon.kernel.runtime.terms import spell
from antiphon.kernel.workers.devices import workers_disabled
from antiphon.kernel.workers.spec import WorkerSpec

NULL_LOG_FILE = "synth-told.jsonl"
"""Event log file of the null synth in the server's folder."""
PREFIX = "synth/"
"""Prefix of the names of synth workers."""


@dataclass(frozen=True, slots=True)
class SynthInfo:
    """A synth backend, as data: what the factory of `antiphon_synths` returns. Its module imports no synth.

    Attributes:
        name: Its name for `--synth`.
        backend: "module:Name" of the `SynthBackend`, imported in the worker and called with rate, hop, slots and
            settings.
        zygote: As in `WorkerSpec`: the process that the worker is forked from.
        needs: A module that has to be installed, or "".
        program: A program that has to be installed, or ""; where it is given, `needs` is not checked.
        memory: Megabytes the worker may take.
        crowd: Events a node may play for each frame of a hop; a node drops and counts further ones.
        imports: As in `WorkerSpec`: the module that the zygote imports before it forks.
        describe: As in `WorkerSpec`: "module:name" of the function that extends the worker's status, or "".
        support: "module:Name" of the `SynthSupport` subclass that does the backend's work outside its worker; "" for
            `SynthSupport` itself.
        option: The option that `serve` has for this backend, or None; a server given it plays by this backend.
        auto: Position in the order in which `--synth auto` tries the installed backends, from 1; 0: only used by name.
        trims: dB added to each instrument to match pyo's loudness, so that a patch is equally loud with any backend.
        jack: The backend plays through JACK: the supervisor starts a JACK server where there is none, unless `option`
            was given.
        fallback: Where the worker has failed for good, `--synth auto` chooses another backend, which plays from then on
            with `BackendChoice.instead`. False: the nodes stay silent.
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
    option: ServeOption[str] | None = None
    auto: int = 0
    trims: Mapping[str, float] = field(default_factory=dict)
    jack: bool = False
    fallback: bool = False

    @property
    def installed(self) -> bool:
        """True if module and program are installed."""
        if self.program:
            return shutil.which(self.program) is not None
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def is_option_given(self, settings: ServeSettings) -> bool:
        """True if `serve` was given this backend's option; False also for a backend without an option."""
        return self.option is not None and self.option.name in settings.options

    def make_support(self) -> SynthSupport:
        """Creates the backend's support object.

        Raises PluginError: the module has no such class. Raises ImportError: there is no such module.
        """
        support: SynthSupport = (import_object(self.support) if self.support else SynthSupport)(self)
        return support

    def delay(self, rate: int, hop: int) -> int:
        """The backend's own latency in hops, by `SynthSupport.delay`; 0 without a `support`."""
        return self.make_support().delay(rate, hop) if self.support else 0

    def worker(self, rate: int, hop: int, settings: Mapping[str, Value] | None = None) -> WorkerSpec:
        """Spec of the backend's worker."""
        return WorkerSpec(
            name=PREFIX + self.name,
            factory="antiphon.backends.stepper:SynthStepper",
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


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """Backend choice of a process."""

    info: SynthInfo
    settings: tuple[tuple[str, Value], ...] = ()
    instead: bool = False


class OfflinePasses(Protocol):
    """Multi-pass rendering of a file, for a backend that renders the whole file's sound at once.

    A pass plays the file from beginning to end. In the first the backend collects the notes; each later pass plays the
    sound computed from the previous pass's notes, because that sound may itself change the notes. `render` and `replay`
    call `begin` before each pass and `done` after it until `done` returns True; the output of these passes is
    discarded. The pass that follows is written to the file, without a further `begin`.
    """

    def begin(self) -> None:
        """Begins a pass: sets the backend that plays it, by `use_backend`."""

    def done(self, frames: int, rate: int) -> bool:
        """Ends a pass, and renders the sound for the next.

        `frames`: frames of sound that the next pass needs. Returns whether the next pass is the one to be written; if
        so, its backend is set as by `begin`.
        """


class SynthSupport:
    """Base of a backend's support outside its worker: the class named by `SynthInfo.support`.

    Methods default to no operation: a backend overrides the ones it needs. The supervisor, the engine's loader and the
    command line create a new object for each use, so it keeps no state. Large libraries are to be imported within the
    methods, because the command line imports the module for a single question.
    """

    def __init__(self, info: SynthInfo) -> None:
        self.info = info

    def delay(self, rate: int, hop: int) -> int:
        """The backend's own latency, added to the hop that every worker needs."""
        return 0

    def check_settings(self, settings: SynthSettings, *, instead: bool) -> SynthSettings:
        """Checks a node's settings, and replaces missing instruments. In the engine's loader, before the stream.

        `instead`: the backend replaces one that failed. Then it substitutes its nearest instrument instead of refusing
        the node. Raises ParamError: the backend does not play this instrument or SynthDef. Raises FileError: a file
        that the settings name cannot be used.
        """
        return settings

    def controls(self, settings: SynthSettings) -> Iterable[str]:
        """Names of the values that each note may have, as in `/node/NAME/play note 60 cutoff 800`."""
        return ()

    def check_option(self, value: str) -> None:
        """Checks the value of `info.option`: in the command line, before anything is started.

        `value`: as given to `serve`. Raises UsageError: the option does not take this value.
        """

    def with_option(self, choice: BackendChoice, value: str, rate: int) -> BackendChoice:
        """Applies the value of `info.option`: in the supervisor, before the engine is started.

        `choice`: the backend as it plays without the option. `value`: the option's value, which `check_option`
        accepted. Raises EngineError: it cannot be played with this value.
        """
        return choice

    def clear(self, since: float) -> None:
        """Removes leftovers of the backend's workers: processes, files. Called once all processes of a server ended.

        It must not raise: the supervisor ends after it. `since`: when the server started, in seconds as `time.time`
        gives them.
        """

    def passes(self, live: int) -> AbstractContextManager[OfflinePasses] | None:
        """Begins the rendering of a file, for `render` and `replay`.

        `live`: frames of a block of the set that `replay` plays; 0 in `render`. Returns the passes, as a context that
        lasts until the file is written; None for a backend that renders files hop by hop, as it plays.
        """
        return None

    def findings(self) -> Iterable[Finding]:
        """Yields findings on the backend, for `antiphon doctor`; by default those on `info.program` or `info.needs`."""
        info = self.info
        what = info.program or info.needs
        if not what:
            return
        if info.installed:
            yield Finding(what, "works", f"plays notes with --synth {info.name}")
        else:
            yield Finding(what, "missing", f"not installed; --synth {info.name} needs it", info.install)


NULL = SynthInfo("null", "antiphon.backends.null:Null", auto=100)
"""Silent backend, which writes notes into a file."""


Registered = Mapping[str, Callable[[], SynthInfo]]
"""The factories of `antiphon_synths`, by name."""


def choose(asked: str, registered: Registered) -> SynthInfo:
    """Chooses a backend by "auto" or a name; `NULL` if "auto" finds none."""
    if asked == "auto":
        for info in installed_infos(registered):
            if info.auto and info.installed:
                return info
        return NULL  # of a kernel alone: no plugin registers any
    if asked not in registered:
        raise UsageError(f"{spell('synth')} takes auto, {', '.join(sorted(registered))}; there is no {asked!r} here")
    try:
        info = registered[asked]()
    except Exception as error:
        raise PluginError(f"the synth {asked!r} cannot be made: {reason_of(error)}") from error
    if not isinstance(info, SynthInfo):
        raise PluginError(f"the factory of the synth {asked!r} gave {type(info).__name__}, not a SynthInfo")
    if not info.installed:
        what, how = info.program or info.needs, info.install or "pip install it"
        raise UsageError(f"{spell('synth')} {asked} needs {what}, which is not installed: {how}")
    return info


def installed_infos(registered: Registered) -> list[SynthInfo]:
    """Infos of the factories, first those of `auto` in its order. A failing factory is left out."""
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
    """Reason why `auto` found no synth, as a sentence."""
    first = next(iter(installed_infos(registered)), NULL)
    if first.name == NULL.name:
        return "the node synth is silent, because no synth is installed to play its notes: pip install antiphon-more"
    what, how = first.program or first.needs, first.install or "pip install it"
    return f"{what} is not installed, so that notes are not heard: {how}"


_chosen: BackendChoice | None = None


def use(choice: BackendChoice | None) -> None:
    """Sets the process-wide synth backend."""
    global _chosen
    _chosen = choice


def chosen_backend() -> BackendChoice:
    """The process-wide backend: of `use_backend`, else by `--synth auto`; `NULL` where processors are only checked."""
    if _chosen is not None:
        return _chosen
    return BackendChoice(NULL if workers_disabled() else _choose_automatic_backend())


@contextmanager
def play_ahead(play: Callable[[], int], rate: int, live: int = 0) -> Iterator[None]:
    """Context in which the chosen synth plays what it rendered in passes over the whole file.

    `play`: plays the file without its output; returns the frames that the next pass needs. `live`: as of
    `SynthSupport.passes`.
    """
    passes = chosen_backend().info.make_support().passes(live=live)
    if passes is None:
        yield
        return
    with passes as each:
        while True:
            each.begin()
            if each.done(play(), rate):
                break
        yield


@cache
def _choose_automatic_backend() -> SynthInfo:
    from antiphon.kernel.plugins import hook_lists

    return choose("auto", hook_lists.factories("synths"))


def infos() -> list[SynthInfo]:
    """The synth backends of all plugins: first those that `--synth auto` tries, in its order."""
    from antiphon.kernel.plugins import hook_lists  # control imports this module, and asks no plugin

    return installed_infos(hook_lists.factories("synths"))


def requested_backend(settings: ServeSettings) -> SynthInfo | None:
    """The backend that the settings name; None for "auto" and for an unknown one."""
    if settings.synth == "auto":
        return None
    return next((info for info in infos() if info.name == settings.synth), None)


def apply_backend_option(settings: ServeSettings, choice: BackendChoice) -> BackendChoice:
    """Returns a choice modified by the backend's option. Raises `EngineError` if it cannot be played so."""
    option = choice.info.option
    if option is None or not choice.info.is_option_given(settings):
        return choice
    return choice.info.make_support().with_option(choice, settings.value(option), settings.rate)
