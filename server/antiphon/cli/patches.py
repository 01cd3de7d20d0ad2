"""`antiphon patches` and `antiphon sets`: list the names that --patch and --set take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.status import Json

if TYPE_CHECKING:
    from antiphon.graph.patch_list import PatchEntry


def register(cli: typer.Typer) -> None:
    """Adds both commands."""

    @cli.command("patches")
    def patches(
        every: Annotated[bool, typer.Option("--all", help="Also unlisted patches, which are for tests.")] = False,
        as_json: Json = False,
    ) -> None:
        """List the patches: what each is for, whether it is shipped or yours, and which hides a shipped one."""
        from antiphon.graph.patch_list import entries
        from antiphon.runtime import paths

        listed = [entry for entry in entries() if entry.listed or every]
        _show(listed, as_json)
        if not as_json:
            typer.echo(f"your own patches are in {paths.patches()}")

    @cli.command("sets")
    def sets(as_json: Json = False) -> None:
        """List the set lists: what each is for, and whether it is shipped or yours."""
        from antiphon.graph.patch_list import SETS, entries
        from antiphon.runtime import paths

        _show(entries(SETS), as_json)
        if not as_json:
            typer.echo(f"your own sets are in {paths.patches() / SETS}")


def _show(entries: Sequence[PatchEntry], as_json: bool) -> None:
    from antiphon.cli.terminal.style import styled

    if as_json:
        typer.echo(json.dumps([_plain(entry) for entry in entries]))
        return
    width = max((len(entry.name) for entry in entries), default=0)
    for line in listing(entries):
        typer.echo(styled(line[:width], "head") + line[width:])


def listing(entries: Sequence[PatchEntry]) -> Iterator[str]:
    """A line for each: "answer  yours, hides the shipped one  Hum, and …"."""
    origins = [origin(entry) for entry in entries]
    widths = [max((len(text) for text in column), default=0) for column in ([e.name for e in entries], origins)]
    for entry, origin_text in zip(entries, origins, strict=True):
        yield f"{entry.name:<{widths[0]}}  {origin_text:<{widths[1]}}  {entry.line}".rstrip()


def origin(entry: PatchEntry) -> str:
    """Its origin, as text."""
    if entry.hides:
        return "yours, hides the shipped one"
    return "yours" if entry.own else "shipped"


def _plain(entry: PatchEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "line": entry.line,
        "from": "yours" if entry.own else "shipped",
        "hides_shipped": entry.hides,
        "listed": entry.listed,
        "file": str(entry.path),
    }
