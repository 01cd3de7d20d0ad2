"""Writes the list of addresses in docs/http.md, and of processors with their parameters below `## Processors` in cards.

`make docs`; with --check it compares only.
"""

import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.plugins.loader import load
from antiphon.web.operations import TokenLevel
from antiphon.web.routes import all_operations

ROOT = Path(__file__).parents[1]
TABLE = re.compile(r"(?:^- `(?:GET|POST|PUT|DELETE) /.*\n)+", re.MULTILINE)
TOKEN = {TokenLevel.ANYONE: " (open)", TokenLevel.READ: "", TokenLevel.OWNER: " (token)"}
PROCESSORS = re.compile(r"(?<=^## Processors\n\n)(?:.+\n)+", re.MULTILINE)
WIDTH = 104


OPERATIONS = all_operations()


def line(info: ProcessorInfo) -> str:
    """A processor: its name, what it is, the parameters that are set, and those that it reports."""
    what = re.split(r"[:;,.]", info.doc)[0].lower()
    # of numbered ones, kind1 to kind8, the first has the last beside it
    params = [param for param in info.params if not re.search(r"([2-9]|1\d)$", param.name)]
    last = {param.name.rstrip("0123456789"): param.name for param in info.params}
    text = f"- `{info.type}`" + (f", {what}: " if what != info.type else ": ")
    text += ", ".join(_set(param, last) for param in params if not param.readonly)
    if reported := ", ".join(f"`{param.name}`" for param in params if param.readonly):
        text += f"; reports {reported}"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False) + "\n"


def _set(param: Param, last: Mapping[str, str]) -> str:
    to = last.get(param.name.removesuffix("1"), param.name)
    name = f"`{param.name}`" + (f" to `{to}`" if to != param.name else "")
    return name + (f" ({', '.join(param.choices)})" if param.kind == "choice" else "")


def find_outdated_lists() -> dict[Path, str]:
    """Each file whose list is not what the declarations say, with its text as it is to be."""
    made = (f"- `{one.method} {one.path}`{TOKEN[one.level]}: {' '.join(one.doc).strip()}\n" for one in OPERATIONS)
    lists = [(ROOT / "docs/http.md", TABLE, "".join(made))]
    lines = [(info.plugin, line(info)) for info in load(check=False).catalog.types.values()]
    for card in ROOT.glob("plugins/*/antiphon_*/README.md"):
        lists.append((card, PROCESSORS, "".join(text for plugin, text in lines if plugin == card.parent.name)))
    old = [(file, file.read_text("utf-8"), pattern, made) for file, pattern, made in lists]
    return {file: new for file, text, pattern, made in old if (new := pattern.sub(made, text)) != text}


if __name__ == "__main__":
    for file, text in find_outdated_lists().items():
        if "--check" in sys.argv[1:]:
            sys.exit(f"the list of {file.relative_to(ROOT)} is not what the declarations say: make docs")
        file.write_text(text, "utf-8")
