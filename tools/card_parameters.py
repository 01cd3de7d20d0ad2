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
NUMBERED = re.compile(r"([a-z_]+)([2-9]|\d\d)")
WIDTH = 104


def line(info: ProcessorInfo) -> str:
    """A processor: its name, what it is, the parameters that are set, and those that it reports."""
    what = re.split(r"[:;,.]", info.doc)[0]
    named = f"- `{info.type}`" + ("" if what.lower() == info.type else f", {what[:1].lower()}{what[1:]}")
    names = {param.name for param in info.params}
    more = [found for name in names if (found := NUMBERED.fullmatch(name)) and f"{found[1]}1" in names]
    shown = [param for param in info.params if param.name not in {found[0] for found in more}]
    text = f"{named}: {', '.join(_set(param) for param in shown if not param.readonly)}"
    if more:
        text += f", and so on to {max(int(found[2]) for found in more)}"
    if reported := [f"`{param.name}`" for param in shown if param.readonly]:
        text += f"; reports {', '.join(reported)}"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False) + "\n"


def _set(param: Param) -> str:
    return f"`{param.name}`" + (f" ({', '.join(param.choices)})" if param.kind == "choice" else "")


def cards(types: Iterable[ProcessorInfo]) -> dict[Path, str]:
    """Each card with such a list, with its text as it is to be."""
    every, texts = list(types), {}
    for card in ROOT.glob("plugins/*/antiphon_*/README.md"):
        made = "".join(line(info) for info in every if info.plugin == card.parent.name)
        if LIST.search(text := card.read_text("utf-8")):
            texts[card] = LIST.sub(lambda _, made=made: made, text)
    return texts


if __name__ == "__main__":
    from antiphon.kernel.plugins.loader import load

    for card, text in cards(load(check=False).catalog.types.values()).items():
        card.write_text(text, "utf-8")
