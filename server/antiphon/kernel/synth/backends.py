"""Synth backends: those that are registered, and the one that is chosen."""

from collections.abc import Callable, Mapping
from functools import cache

from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.runtime.importing import reason_of
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.synth.info import NULL, BackendChoice, SynthInfo
from antiphon.kernel.workers.devices import workers_disabled

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
        return "the node synth is silent, because no synth is installed to play its notes: pip install antiphon-more"
    what, how = first.program or first.needs, first.install or "pip install it"
    return f"{what} is not installed, so that notes are not heard: {how}"


_chosen: BackendChoice | None = None


def use(choice: BackendChoice | None) -> None:
    """Sets the process-wide synth backend."""
    global _chosen
    _chosen = choice


def chosen() -> BackendChoice:
    """The process-wide backend: of `use_backend`, else of `--synth auto`; `NULL` where processors are only checked."""
    if _chosen is not None:
        return _chosen
    return BackendChoice(NULL if workers_disabled() else _automatic())


@cache
def _automatic() -> SynthInfo:
    from antiphon.kernel.plugins import registry

    return choose("auto", registry.factories("synths"))


def infos() -> list[SynthInfo]:
    """The synth backends of all plugins: first those that `--synth auto` tries, in its order."""
    from antiphon.kernel.plugins import registry  # control imports this module, and asks no plugin

    return installed_infos(registry.factories("synths"))


def requested_backend(settings: ServeSettings) -> SynthInfo | None:
    """The backend that the settings name; None for "auto" and for an unknown one."""
    if settings.synth == "auto":
        return None
    return next((info for info in infos() if info.name == settings.synth), None)


def with_options(settings: ServeSettings) -> ServeSettings:
    """Settings with the backend whose option was given."""
    for info in infos():
        option = info.option
        if option is None or not info.option_given(settings):
            continue
        if settings.synth not in ("auto", info.name):
            raise UsageError(
                f"--{option.name} is of --synth {info.name}, and --synth {settings.synth} plays by something else"
            )
        info.make_support().check_option(settings.value(option))
        settings = settings.with_(synth=info.name)
    return settings


def choice_with(settings: ServeSettings, choice: BackendChoice) -> BackendChoice:
    """Choice modified by the backend's option. Raises `EngineError` if it cannot be played so."""
    option = choice.info.option
    if option is None or not choice.info.option_given(settings):
        return choice
    return choice.info.make_support().with_option(choice, settings.value(option), settings.rate)
