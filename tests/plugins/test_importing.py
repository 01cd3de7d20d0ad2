"""Plugins imported by name: which are, and what becomes of one that cannot be."""

from types import ModuleType

import pytest

from antiphon.api import hookimpl
from antiphon.kernel.plugins.finding import PluginSource
from antiphon.kernel.plugins.importing import import_plugins


def plugin(name: str, called: list[str]) -> ModuleType:
    module = ModuleType(name)

    @hookimpl
    def antiphon_startup(app: object) -> None:
        called.append(name)

    module.antiphon_startup = antiphon_startup  # type: ignore[attr-defined]
    return module


def test_those_asked_for_are_imported_and_one_that_fails_does_not_keep_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []

    def broken() -> ModuleType:
        raise SystemExit("no")

    def never() -> ModuleType:
        raise AssertionError("imported, and nobody asked for it")

    found = [
        PluginSource("broken", broken),
        PluginSource("other", never),
        PluginSource("twice", never, problem="the name is taken"),
        PluginSource("first", lambda: plugin("first", called)),
        PluginSource("second", lambda: plugin("second", called)),
    ]
    monkeypatch.setattr("antiphon.kernel.plugins.importing.sources", lambda: found)
    failures: list[tuple[str, str]] = []
    dispatcher = import_plugins(
        {"broken", "twice", "first", "second"}, lambda name, error: failures.append((name, repr(error)))
    )
    assert failures == [("broken", "SystemExit('no')")]
    assert dispatcher.call("antiphon_startup", app=None) == ()
    assert called == ["first", "second"]
