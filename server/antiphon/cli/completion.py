"""Shell completion of names: plugins, their parameters, patches, sets, models to train and to evaluate.

It runs at every press of the tab key. So it starts no server, and reads the names from a cache file unless the files of
plugins have changed.
"""

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import typer

from antiphon.cli.help_page import source_stamp
from antiphon.kernel.runtime import paths

FILE = "names.json"
KINDS = ("trainings", "evaluations")


def named(kind: str) -> Callable[[str], list[str]]:
    """Returns a completion for one kind of names: plugins, trainings or evaluations."""
    return lambda incomplete: _begin(incomplete, load_names()[kind])


plugins = named("plugins")


def patches(incomplete: str) -> list[str]:
    """Completions of listed patches."""
    from antiphon.operations import patch_list

    return _begin(incomplete, patch_list.names())


def sets(incomplete: str) -> list[str]:
    """Completions of set lists."""
    from antiphon.operations import patch_list

    return _begin(incomplete, patch_list.names(patch_list.SETS))


def params(ctx: typer.Context, incomplete: str) -> list[str]:
    """NAME= for each parameter of the plugin given before, and NAME=CHOICE after the equals sign."""
    types: dict[str, dict[str, list[str]]] = load_names()["plugins"]
    # after a -p without a value the library has not assigned the words to parameters
    plugin = next((word for word in (ctx.params.get("plugin"), *ctx.args) if word in types), "")
    cells = types.get(plugin, {})
    name, equals, _ = incomplete.partition("=")
    every = [f"{name}={choice}" for choice in cells.get(name, ())] if equals else [f"{cell}=" for cell in cells]
    return _begin(incomplete, every)


def of(kind: str, choices: Sequence[object]) -> Callable[..., list[str]] | None:
    """The completion of an argument that takes names of a kind, or one of some choices; None without either."""
    if kind:
        found: Callable[..., list[str]] = globals()[kind]
        return found
    return (lambda incomplete: _begin(incomplete, map(str, choices))) if choices else None


def _begin(incomplete: str, names: Any) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def load_names() -> dict[str, Any]:
    """Loads the completions: "plugins": type → parameter → choices; "trainings" and "evaluations": names."""
    file, stamp = paths.cache() / FILE, source_stamp()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        cached = json.loads(file.read_bytes())
        if cached["stamp"] == stamp:
            return dict(cached["names"])
    from antiphon.kernel.plugins.loader import load

    # the shell would read a plugin's output as names
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = load(check=False)
    types = {
        name: {cell.name: list(cell.choices) for cell in info.cells if not cell.readonly}
        for name, info in sorted(loaded.catalog.types.items())
    }
    names = {"plugins": types, **{kind: sorted(loaded.factories[kind]) for kind in KINDS}}
    # without the cache the next completion is slow; a completion cannot print an error
    with contextlib.suppress(Exception):
        paths.write_atomic(file, json.dumps({"stamp": stamp, "names": names}).encode())
    return names
