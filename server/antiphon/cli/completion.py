"""Shell completion of names: plugins, their parameters, patches, sets, models to train and to evaluate.

It runs at every press of the tab key. So it starts no server, and reads the names from a cache file unless the files of
plugins have changed.
"""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from antiphon.cli.errors import VARIABLE
from antiphon.cli.help_page import source_stamp
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths

FILE = "names.json"
KINDS = ("trainings", "evaluations")


def names_of(kind: str) -> Iterable[str]:
    """Names of plugins, trainings or evaluations; of "patches" or "sets" those that lists show."""
    if kind not in ("patches", "sets"):
        return load_names()[kind]  # type: ignore[no-any-return]
    from antiphon.operations import patch_list

    return patch_list.names(patch_list.SETS if kind == "sets" else "")


def params(ctx: click.Context, incomplete: str) -> list[str]:
    """NAME= for each parameter of the plugin given before, and NAME=CHOICE after the equals sign."""
    types: dict[str, dict[str, list[str]]] = load_names()["plugins"]
    # after a -p without a value the library has not assigned the words to parameters
    plugin = next((word for word in (ctx.params.get("plugin"), *ctx.args) if word in types), "")
    cells = types.get(plugin, {})
    name, equals, _ = incomplete.partition("=")
    every = [f"{name}={choice}" for choice in cells.get(name, ())] if equals else [f"{cell}=" for cell in cells]
    return _begin(incomplete, every)


def completion_of(
    names: str | Callable[[], Iterable[str]] | None, choices: Sequence[object] | None
) -> Callable[[click.Context, str], list[str]]:
    """The completion of an argument that takes names of a kind, or one of some choices."""
    if names == "params":
        return params

    def complete(_: click.Context, incomplete: str) -> list[str]:
        every = map(str, choices or ()) if not names else names() if callable(names) else names_of(names)
        return _begin(incomplete, every)

    return complete


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


# ---- The options that print and install the shell's script, by which it asks for completions

_HOME_FILES = {
    "bash": (".bash_completions/antiphon.sh", ".bashrc", "source ~/.bash_completions/antiphon.sh"),
    "zsh": (".zfunc/_antiphon", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": (".config/fish/completions/antiphon.fish", "", ""),
}
"""Of each shell, where its script is installed, and the line that its start file then has."""


def completion_options() -> list[click.Parameter]:
    """`--install-completion` and `--show-completion`."""

    def add(name: str, text: str, does: Callable[[str, str], None]) -> click.Parameter:
        def call(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
            if not asked or ctx.resilient_parsing:
                return
            from click.shell_completion import get_completion_class

            shell = Path(os.environ.get("SHELL", "")).name
            found = get_completion_class(shell) if shell in _HOME_FILES else None
            if found is None:
                raise UsageError(f"completion is for {', '.join(_HOME_FILES)}; SHELL names {shell or 'none'}")
            does(shell, found(ctx.command, {}, "antiphon", VARIABLE).source())
            ctx.exit()

        return click.Option([name], is_flag=True, is_eager=True, expose_value=False, help=text, callback=call)

    return [
        add("--install-completion", "Install completion for the current shell.", _install),
        add(
            "--show-completion",
            "Show completion for the current shell, to copy it or customize the installation.",
            lambda _, script: click.echo(script),
        ),
    ]


def _install(shell: str, script: str) -> None:
    file, start, line = _HOME_FILES[shell]
    path = Path.home() / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    if start:
        with (Path.home() / start).open("a+") as begun:
            begun.seek(0)
            if line not in begun.read():
                begun.write(f"\n{line}\n")
    click.echo(f"{shell} completion is installed in {path}; it works in the next terminal")
