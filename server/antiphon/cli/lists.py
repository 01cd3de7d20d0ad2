"""Lines of the lists (patches, sets, plugins, words, models) for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from antiphon.cli.progress import align_rows, style_text
from antiphon.kernel.graph.names import SCENE_NAME
from antiphon.kernel.runtime import extras, paths
from antiphon.operations.lists import FoundWords, KnownModels, ShownPatch
from antiphon.operations.patch_list import SETS, PatchEntry

if TYPE_CHECKING:
    from antiphon.networks.info import FileListing, Row

FILE_HEAD = ("file", "size", "method", "in", "out", "rate", "hop", "latency", "state")
HEAD = ("model", "plugin", "file", "size", "parameters", "runs on", "state")


def patches(found: Sequence[PatchEntry] | ShownPatch) -> Iterator[str]:
    """Lines of all patches, or of one."""
    if isinstance(found, ShownPatch):
        head, *rest = card(found)
        yield from (_styled(head, len(found.entry.name)), *rest)
        return
    yield from _entries(found)
    yield "antiphon patches NAME says what to do first, and shows its scenes and controllers"
    yield f"your own patches are in {paths.patches()}"


def sets(found: Sequence[PatchEntry]) -> Iterator[str]:
    """Lines of the set lists."""
    yield from _entries(found)
    yield f"your own sets are in {paths.patches() / SETS}"


def card(shown: ShownPatch) -> Iterator[str]:
    """Lines of a patch's description: purpose, hint, macros, scenes and MIDI controllers."""
    entry, patch = shown.entry, shown.patch
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


def _styled(line: str, width: int) -> str:
    return style_text(line[:width], "head") + line[width:]


def _entries(found: Sequence[PatchEntry]) -> Iterator[str]:
    width = 2 + max((len(entry.name) for entry in found), default=0)
    return (_styled(line, width) for line in listing(found))


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


def words(words: FoundWords) -> Iterator[str]:
    """Lines of words: a chapter's title, and below it each word, its description, and examples."""
    from antiphon.live.reference import CHAPTERS

    for group, title in CHAPTERS.items():
        chapter = [entry for entry in words.found if entry.group == group]
        if chapter:
            yield style_text(title, "head")
        for entry in chapter:
            yield f"  {' '.join(entry.names)}  {entry.doc}"
            if entry.example:
                yield from (entry.example, "")  # at the margin, to be copied as it is
    if words.lacking:
        yield style_text("Words of Tidal and Strudel that are not here", "head")
    for name, place in sorted(words.lacking.items()):
        yield f"  {name}  {place}"


def models(known: KnownModels) -> Iterator[str]:
    """Lines of models; then, after an empty line, those of the library's files, if any."""
    yield from align_rows([HEAD, *(_cells(row, known.torch) for row in known.models)])
    if known.torch:
        yield f"torch {known.torch} is installed"
    elif any(row.needs_torch for row in known.models):
        commands = " and ".join(extras.commands("torch"))
        yield f"torch is not installed; models that need it cannot run; to install it: {commands}"
    if known.files:
        yield ""
        yield from align_rows([FILE_HEAD, *map(_file_cells, known.files)])


def _file_cells(row: FileListing) -> tuple[str, ...]:
    if not row.method:
        return row.file, _size(row.bytes), "-", "-", "-", "-", "-", "-", "refused"
    return (
        row.file,
        _size(row.bytes),
        row.method,
        _port(row.inputs, row.in_ratio),
        _port(row.outputs, row.out_ratio),
        f"{row.rate}" if row.rate else "any",
        f"{row.hop}",
        f"{row.latency} {row.source}",
        "refused" if row.problem else "ready",
    )


def _port(channels: int, ratio: int) -> str:
    return f"{channels} × sound" if ratio == 1 else f"{channels} × control / {ratio}"


def _size(count: int) -> str:
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def _cells(row: Row, torch: str | None) -> tuple[str, ...]:
    state = f"{row.state}, torch not installed" if row.needs_torch and not torch else row.state
    return (
        row.name or "-",
        row.plugin or "-",
        row.file or "-",
        _size(row.bytes) if row.bytes else "-",
        f"{row.parameters:,}" if row.parameters else "-",
        ", ".join(row.devices) or "-",
        state,
    )
