"""Synth backends registered by plugins, available without loading all plugins."""

from __future__ import annotations

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.synth.choosing import installed_infos
from antiphon.kernel.synth.info import BackendChoice, SynthInfo


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
