"""Layouts of control surfaces for a patch, as files of TouchOSC and Open Stage Control.

May import `graph`, `contract` and below, of the kernel.
"""

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.graph.patch import Patch
from antiphon.layout import controls

TOUCHOSC, STAGE_CONTROL = ".tosc", ".json"
"""Suffixes of the files."""


def layout_file(patch: Patch, catalog: Catalog, ending: str) -> tuple[bytes, str]:
    """Returns the file with that suffix for a patch, and a description of its contents."""
    from antiphon.layout import stage_control, touchosc

    pages = controls.pages(patch, catalog)
    count = sum(len(page.controls) + len(page.keys) for page in pages)
    said = f"{count} controls of {patch.name} on {len(pages)} pages"
    if ending == TOUCHOSC:
        return touchosc.to_tosc(patch.name, pages), said
    return stage_control.to_session(patch.name, pages).encode(), said
