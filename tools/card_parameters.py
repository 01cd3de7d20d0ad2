"""Writes the list of processors with their parameters in the cards of plugins that have one: `make docs`.

The list is what stands below the heading `## Processors`, up to the next empty line.
"""

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.params import Param

ROOT = Path(__file__).parents[1]
LIST = re.compile(r"(?<=^## Processors\n\n)(?:.+\n)+", re.MULTILINE)
WIDTH = 104


def line(info: ProcessorInfo) -> str:
    """A processor: its name, what it is, the parameters that are set, and those that it reports."""
    what = re.split(r"[:;,.]", info.doc)[0].lower()
    # of numbered ones, kind1 to kind8, the first is enough
    params = [param for param in info.params if not re.search(r"([2-9]|1\d)$", param.name)]
    text = f"- `{info.type}`" + (f", {what}: " if what != info.type else ": ")
    text += ", ".join(_set(param) for param in params if not param.readonly)
    if reported := ", ".join(f"`{param.name}`" for param in params if param.readonly):
        text += f"; reports {reported}"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False) + "\n"


def _set(param: Param) -> str:
    return f"`{param.name}`" + (f" ({', '.join(param.choices)})" if param.kind == "choice" else "")


def cards(types: Iterable[ProcessorInfo]) -> dict[Path, str]:
    """Each card with such a list, with its text as it is to be."""
    lines, texts = [(info.plugin, line(info)) for info in types], {}
    for card in ROOT.glob("plugins/*/antiphon_*/README.md"):
        made = "".join(text for plugin, text in lines if plugin == card.parent.name)
        texts[card] = LIST.sub(made, card.read_text("utf-8"))
    return texts


if __name__ == "__main__":
    from antiphon.kernel.plugins.loader import load

    for card, text in cards(load(check=False).catalog.types.values()).items():
        card.write_text(text, "utf-8")
