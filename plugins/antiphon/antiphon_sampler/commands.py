"""Typer commands of `antiphon sounds`."""

from typing import Annotated, Any

import typer

from antiphon.api.backends.cli import Json, command_group, echo_answer, endable, epilog, progress_bar
from antiphon.api.backends.runtime import argument

SENTENCE = "Packs of sounds in your library, as Strudel and SuperDirt have them."
SHOWN = 1500
"""Characters of a licence that are shown; all of it is kept."""


def application() -> typer.Typer:
    """The group of commands."""
    app = command_group("sounds", SENTENCE)
    examples = (
        "antiphon sounds add github:tidalcycles/Dirt-Samples",
        "antiphon sounds add Downloads/crate.zip --name crate",
    )
    app.command("add", epilog=epilog(*examples))(add)
    app.command("list", epilog=epilog("antiphon sounds list"))(listing)
    return app


def add(
    source: Annotated[str, argument("A folder, a ZIP file, a strudel.json, or github:USER/REPO.", "SOURCE")],
    name: Annotated[str, argument("Its folder; else the source's name.", "NAME")] = "",
    force: Annotated[bool, argument("Replace a pack of that name.")] = False,
) -> None:
    """Add a pack of sounds to the library, whole or not at all, and show its licence."""
    from antiphon_sampler import adding

    with endable("nothing was added"), progress_bar("adding") as progress:
        added = adding.add(source, name, replace=force, progress=lambda done, of: progress(done, of, ""))
    for file, text in added.licences[:1]:
        more = f" (all of it: {added.folder / file})" if len(text) > SHOWN else ""
        typer.echo(f"{file}{more}:\n\n{_printable(text[:SHOWN]).strip()}\n")
    if not added.licences:
        typer.echo("It says nothing of a licence; ask whose sounds these are before you publish them.")
    passed = f"; files that are not there or no sounds: {added.passed}" if added.passed else ""
    typer.echo(
        f"added {added.folder.name}: {added.sounds} sounds, names: {added.names}, {added.size / 1e6:.1f} MB{passed}; "
        f'a sampler has them with library = "{added.folder.name}" or packs = true'
    )


def listing(as_json: Json = False) -> None:
    """List the packs that were added, where they are from, and the files of their licences."""
    from antiphon_sampler.packs import packs

    found: list[dict[str, Any]] = [
        {"name": pack.folder.name, "source": pack.source, "licences": list(pack.licences)} for pack in packs()
    ]
    rows = (f"{one['name']}  {one['source']}  {', '.join(one['licences']) or 'no licence'}" for one in found)
    lines = (_printable(row).replace("\n", " ") for row in rows)
    echo_answer(as_json, {"packs": found}, lines if found else ("none; antiphon sounds add SOURCE adds one",))


def _printable(text: str) -> str:
    """Foreign text without what a terminal would obey."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in line.expandtabs()) for line in text.splitlines())
