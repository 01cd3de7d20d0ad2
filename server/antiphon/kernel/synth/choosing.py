"""Choice of the synth backend: installed ones, and the process-wide one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.plugins.reasons import reason_of
from antiphon.kernel.synth.info import NULL, BackendChoice, SynthInfo
from antiphon.kernel.workers import pool

Registered = Mapping[str, Callable[[], SynthInfo]]
"""The factories of `antiphon_synths`, by name."""


def choose(asked: str, registered: Registered) -> SynthInfo:
    """Backend chosen by "auto" or a name; `NULL` if "auto" finds none."""
    if asked == "auto":
        for info in installed_infos(registered):
            if info.auto and info.installed:
                return info
        return NULL  # of a kernel alone: no plugin registers any
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
    """Infos of the factories: first those of `auto`, in its order. A failing factory is left out."""
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
        return "no synth is registered, so that notes are not heard"
    what, how = first.program or first.needs, first.install or "pip install it"
    return f"{what} is not installed, so that notes are not heard: {how}"


_chosen: BackendChoice | None = None


def use(choice: BackendChoice | None) -> None:
    """Sets the process-wide synth backend."""
    global _chosen
    _chosen = choice


def chosen() -> BackendChoice:
    """The process-wide synth backend.

    Returns what `use_backend` set; otherwise what `--synth auto` chooses, and `NULL` where a processor is only checked.
    """
    if _chosen is not None:
        return _chosen
    return BackendChoice(NULL if pool.workers_disabled() else _automatic())


@cache
def _automatic() -> SynthInfo:
    from antiphon.kernel.plugins import registry

    return choose("auto", registry.factories("synths"))
