"""`antiphon surface`: a layout of a patch for TouchOSC or Open Stage Control."""

from pathlib import Path
from typing import Annotated

import click

from antiphon.client.finding import http_port
from antiphon.client.http import get_answer
from antiphon.kernel.errors import AntiphonError, PatchError, UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.layout import STAGE_CONTROL, TOUCHOSC, layout_file
from antiphon.offline.file_job import check_free


def surface(
    out: Annotated[
        str,
        argument(
            "The file to write: NAME.tosc for TouchOSC, NAME.json for Open Stage Control; default: PATCH.tosc, of the "
            "patch that plays.",
            "[OUT]",
            placed=True,
        ),
    ] = "",
    patch: Annotated[
        str, argument("A patch: its name, or the path of a .toml file; default: NAME.", names="patches")
    ] = "",
    force: Annotated[bool, argument("Replace an existing file.")] = False,
) -> None:
    """Write a control surface for a patch: its parameters, levels, tempo, scenes, keys."""
    from antiphon.kernel.graph.patch import load as load_patch
    from antiphon.kernel.plugins.loader import load

    out = out or f"{Path(patch).stem if patch else _playing_patch()}{TOUCHOSC}"
    path = Path(out)
    if path.suffix not in (TOUCHOSC, STAGE_CONTROL):
        raise UsageError(f"{out}: its name must end in {TOUCHOSC} (TouchOSC) or {STAGE_CONTROL} (Open Stage Control)")
    catalog = load(check=False).catalog
    try:
        loaded = load_patch(patch or path.stem, catalog, trusted=True)
    except PatchError as error:
        raise error if patch else UsageError(f"{error}; --patch names another, as in {out} --patch keys") from None
    check_free([("OUT", out)], force=force)
    content, said = layout_file(loaded, catalog, path.suffix)
    paths.write_atomic(path, content)
    click.echo(f"{out}: {said}")


def _playing_patch() -> str:
    """The file name of the patch that this machine's server plays."""
    try:
        name = str(get_answer("/api/status", paths.config(), http_port(None, None))["patch"])
    except AntiphonError:  # none runs, or several
        name = ""
    if not name:
        raise UsageError(
            "name a file, as in `antiphon surface band.tosc`: no server, or more than one, plays a patch here"
        )
    return name.lower()
