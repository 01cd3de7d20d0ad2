"""`antiphon patches` and `antiphon sets`: list the names that --patch and --set take, or show one patch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.option_records import Json
from antiphon.cli.terminal.progress import echo_answer, style_text
from antiphon.kernel.graph.names import SCENE_NAME
from antiphon.kernel.graph.patch_list import SETS, entries
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument

if TYPE_CHECKING:
    from antiphon.kernel.graph.patch import Patch
    from antiphon.kernel.graph.patch_list import PatchEntry


def patches(
    name: Annotated[str, argument("One patch, shown in full.", placed=True, names="patches")] = "",
    every: Annotated[bool, argument("Also unlisted patches, which are for tests.", flags="--all")] = False,
    as_json: Json = False,
) -> None:
    """List the patches: what each is for, whether it is shipped or yours, and which hides a shipped one."""
    if name:
        _show_one(name, as_json)
        return
    listed = [entry for entry in entries() if entry.listed or every]
    _show(listed, as_json)
    if not as_json:
        typer.echo("antiphon patches NAME says what to do first, and shows its scenes and controllers")
        typer.echo(f"your own patches are in {paths.patches()}")


def sets(as_json: Json = False) -> None:
    """List the set lists: what each is for, and whether it is shipped or yours."""
    _show(entries(SETS), as_json)
    if not as_json:
        typer.echo(f"your own sets are in {paths.patches() / SETS}")


def _show_one(name: str, as_json: bool) -> None:
    from antiphon.kernel.graph import patch
    from antiphon.kernel.plugins.loader import load

    path = patch.find(name)
    entry = next(entry for entry in entries() if entry.path == path)
    loaded = patch.load(path.stem, load(check=False).catalog)
    head, *rest = card(entry, loaded)
    lines = [style_text(head[: len(entry.name)], "head") + head[len(entry.name) :], *rest]
    scenes = {str(number): dict(values) for number, values in loaded.scenes.items()}
    macros = {one.name: [asdict(target) for target in one.targets] for one in loaded.graph.macros}
    shown = {"tempo": loaded.tempo, "macros": macros, "scenes": scenes, "midi": dict(loaded.midi)}
    echo_answer(as_json, {**entry.plain(), **shown}, lines)


def card(entry: PatchEntry, patch: Patch) -> Iterator[str]:
    """Lines of a patch's description: purpose, hint, macros, scenes and MIDI controllers."""
    yield f"{entry.name}  {', '.join(filter(None, (entry.group, origin(entry))))}"
    if entry.line:
        yield entry.line
    if entry.hint:
        yield f"first: {entry.hint}"
    yield f"tempo {patch.tempo:g}, nodes: {', '.join(node.name for node in patch.graph.nodes) or 'none'}"
    for macro in patch.graph.macros:
        yield f"macro {macro.name}: {', '.join(f'{one.key} {one.low:g} to {one.high:g}' for one in macro.targets)}"
    for number, values in sorted(patch.scenes.items()):
        named = f", {values[SCENE_NAME]}" if SCENE_NAME in values else ""
        set_to = ", ".join(f"{key} {value}" for key, value in values.items() if key != SCENE_NAME)
        yield f"scene {number}{named}: {set_to}"
    for control, target in patch.midi.items():
        yield f"{'notes out' if control == 'out' else control}: {target}"


def _show(entries: Sequence[PatchEntry], as_json: bool) -> None:
    width = 2 + max((len(entry.name) for entry in entries), default=0)
    lines = (style_text(line[:width], "head") + line[width:] for line in listing(entries))
    echo_answer(as_json, [entry.plain() for entry in entries], lines)


def listing(entries: Sequence[PatchEntry]) -> Iterator[str]:
    """A line per patch, "answer  yours, hides the shipped one  Hum, and …", below its group's heading, if any."""
    origins = {entry.name: origin(entry) for entry in entries}
    name_width = max((len(name) for name in origins), default=0)
    width = max((len(text) for text in origins.values()), default=0)
    # tools stay last, as they are listed; those without a group come first
    groups = sorted({entry.group for entry in entries}, key=[*(entry.group for entry in entries)].index)
    for group in sorted(groups, key=bool):
        if group:
            yield group
        for entry in entries:
            if entry.group == group:
                name = f"{'  ' if group else ''}{entry.name}"
                yield f"{name:<{name_width + 2}}  {origins[entry.name]:<{width}}  {entry.line}".rstrip()


def origin(entry: PatchEntry) -> str:
    """Origin of a patch as text: shipped, yours, or hiding a shipped one."""
    if entry.hides:
        return "yours, hides the shipped one"
    return "yours" if entry.own else "shipped"
