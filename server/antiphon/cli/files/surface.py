"""`antiphon surface`: a layout of a patch for TouchOSC or Open Stage Control."""

from pathlib import Path
from typing import Annotated

import typer

from antiphon.kernel.errors import PatchError, UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.offline.file_job import free

TOUCHOSC, STAGE_CONTROL = ".tosc", ".json"


def surface(
    out: Annotated[
        str,
        argument("The file to write: NAME.tosc for TouchOSC, NAME.json for Open Stage Control.", "OUT"),
    ],
    patch: Annotated[
        str,
        argument("A patch: its name, or the path of a .toml file; default: NAME.", names="patches"),
    ] = "",
    force: Annotated[bool, argument("Replace an existing file.")] = False,
) -> None:
    """Write a control surface for a patch: its parameters, levels, tempo, scenes, keys."""
    from antiphon.kernel.graph.patch import load as load_patch
    from antiphon.kernel.plugins.loader import load
    from antiphon.layout import controls, stage_control, touchosc

    path = Path(out)
    if path.suffix not in (TOUCHOSC, STAGE_CONTROL):
        raise UsageError(f"{out}: its name must end in {TOUCHOSC} (TouchOSC) or {STAGE_CONTROL} (Open Stage Control)")
    catalog = load(check=False).catalog
    try:
        loaded = load_patch(patch or path.stem, catalog, trusted=True)
    except PatchError as error:
        raise error if patch else UsageError(f"{error}; --patch names another, as in {out} --patch keys") from None
    free([("OUT", out)], force=force)
    pages = controls.pages(loaded, catalog)
    if path.suffix == TOUCHOSC:
        content = touchosc.to_tosc(loaded.name, pages)
    else:
        content = stage_control.to_session(loaded.name, pages).encode()
    paths.write_atomic(path, content)
    count = sum(len(page.controls) + len(page.keys) for page in pages)
    typer.echo(f"{out}: {count} controls of {loaded.name} on {len(pages)} pages")
