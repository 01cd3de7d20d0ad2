"""Operations `sounds add` and `sounds list`: packs of sounds in the library, in Strudel's and SuperDirt's formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from antiphon.api.backends.runtime import ASKER, Request, argument

if TYPE_CHECKING:
    from antiphon_sampler.adding import Added

SHOWN = 1500
"""Maximum characters of a licence to print; the file is kept completely."""


class AddPackRequest(Request):
    """Add a pack of sounds to the library, whole or not at all, and show its licence."""

    source: Annotated[str, argument("A folder, a ZIP file, a strudel.json, or github:USER/REPO.", "SOURCE")]
    name: Annotated[str, argument("Its folder; else the source's name.", "NAME")] = ""
    force: Annotated[bool, argument("Replace a pack of that name.")] = False


class ListPacksRequest(Request):
    """List the added packs, their sources, and their licence files."""


def add(asked: AddPackRequest) -> Added:
    """Adds a pack."""
    from antiphon_sampler import adding

    with ASKER.get().progress("adding") as progress:
        return adding.add(
            asked.source, asked.name, replace=asked.force, progress=lambda done, of: progress(done, of, "")
        )


def lines_of_pack(pack: Added) -> Iterator[str]:
    """Lines on an added pack: its licence, and how to play it."""
    for file, text in pack.licences[:1]:
        more = f" (all of it: {pack.folder / file})" if len(text) > SHOWN else ""
        yield f"{file}{more}:\n\n{_printable(text[:SHOWN]).strip()}\n"
    if not pack.licences:
        yield "It says nothing of a licence; ask whose sounds these are before you publish them."
    passed = f"; files that are not there or no sounds: {pack.passed}" if pack.passed else ""
    yield (
        f"added {pack.folder.name}: {pack.sounds} sounds, names: {pack.names}, {pack.size / 1e6:.1f} MB{passed}; "
        f'a sampler has them with library = "{pack.folder.name}" or packs = true'
    )


def list_packs(asked: ListPacksRequest) -> dict[str, Any]:
    """The added packs: folder, source and licence files of each."""
    from antiphon.kernel.runtime.sound_packs import sound_packs

    found = sound_packs()
    return {"packs": [{"name": p.folder.name, "source": p.source, "licences": list(p.licences)} for p in found]}


def rows(found: dict[str, Any]) -> Iterator[str]:
    """A line for each pack."""
    for pack in found["packs"]:
        row = f"{pack['name']}  {pack['source']}  {', '.join(pack['licences']) or 'no licence'}"
        yield _printable(row).replace("\n", " ")
    if not found["packs"]:
        yield "none; antiphon sounds add SOURCE adds one"


def _printable(text: str) -> str:
    """Untrusted text without terminal control sequences."""
    return "\n".join("".join(c if c.isprintable() else "?" for c in line.expandtabs()) for line in text.splitlines())


def add_to(operations: Any) -> None:
    """Adds the library's operations."""
    operations.add(
        "sounds add",
        AddPackRequest,
        add,
        Any,
        lines=lines_of_pack,
        local=True,
        group="Packs of sounds in your library, as Strudel and SuperDirt have them.",
        kept="nothing was added",
        examples=(
            "antiphon sounds add github:tidalcycles/Dirt-Samples",
            "antiphon sounds add Downloads/crate.zip --name crate",
        ),
    )
    operations.add(
        "sounds list", ListPacksRequest, list_packs, Any, lines=rows, local=True, examples=("antiphon sounds list",)
    )
