"""Every list of plugins, as the folders of plugins/ are: entry points, types, contracts, what is built in, the map.

    python tools/plugin_lists.py [--write]

Without `--write` it exits with 1 where one is not current.
"""

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FINDING = ROOT / "server/antiphon/kernel/plugins/finding.py"
WIDTH = 120
LAST = "antiphon_classify"
"""The plugin that is loaded last: it registers the performer's own classifiers too, which take the names left."""
LAB = "antiphon_models"
"""The lab, which is loaded like a plugin."""
_LOADED = re.compile(r'(?:^ +(?:"antiphon_[a-z]+",? ?)+\n)+', re.MULTILINE)
_RUN = re.compile(r'(?:^ +(?:"antiphon_(?!bench|models)[a-z]+",? ?)+\n)+', re.MULTILINE)
"""Lines that hold plugins' names alone: neither the benches nor the lab is a plugin."""
_POINTS = re.compile(r'(?<=^\[project\.entry-points\.antiphon\]\n)(?:\w+ = "antiphon_\w+"\n)+', re.MULTILINE)
_ROW = re.compile(r"(?<=^\| `)(antiphon[a-z-]*)` \| [a-z, ]+ \|$", re.MULTILINE)


def plugins(distribution: str = "*") -> list[str]:
    """Packages of the plugins of all distributions, or of one, sorted."""
    found = {file.parent.name for file in ROOT.glob(f"plugins/{distribution}/antiphon_*/__init__.py")}
    return sorted(found)


def _short(distribution: str) -> list[str]:
    return [name.removeprefix("antiphon_") for name in plugins(distribution)]


def current() -> dict[Path, str]:
    """Each file that has a list of plugins, with its text as it is to be."""
    texts = {}
    loaded = sorted([*plugins(), LAB], key=lambda name: (name == LAST, name))
    for file, names, indent in ((ROOT / "pyproject.toml", plugins(), "  "), (FINDING, loaded, "    ")):
        listed = ", ".join(f'"{name}"' for name in names) + ","
        run = textwrap.fill(listed, WIDTH, initial_indent=indent, subsequent_indent=indent) + "\n"
        texts[file] = (_LOADED if file == FINDING else _RUN).sub(run, file.read_text("utf-8"))
    for folder in ROOT.glob("plugins/*/"):
        file = ROOT / "pyproject.toml" if folder.name == "antiphon" else folder / "pyproject.toml"
        points = "".join(f'{name} = "antiphon_{name}"\n' for name in _short(folder.name))
        texts[file] = _POINTS.sub(points, texts.get(file) or file.read_text("utf-8"))
    page = ROOT / "docs" / "architecture.md"
    texts[page] = _ROW.sub(lambda row: f"{row[1]}` | {', '.join(_short(row[1]))} |", page.read_text("utf-8"))
    return texts


def main() -> int:
    old = [file for file, text in current().items() if file.read_text("utf-8") != text]
    for file in old:
        if "--write" in sys.argv:
            file.write_text(current()[file], "utf-8")
        else:
            print(f"{file.relative_to(ROOT)} has a list of plugins that is not current: make docs")
    return int(bool(old) and "--write" not in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
