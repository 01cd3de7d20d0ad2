"""The lists of plugins in pyproject.toml, as the folders of plugins/ are.

    python tools/plugin_lists.py [--write]

A list is a run of lines that hold plugins' names alone. Without `--write` it exits with 1 where one is not current.
"""

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
WIDTH = 120
_RUN = re.compile(r'(?:^ +(?:"antiphon_(?!bench|models)[a-z]+",? ?)+\n)+', re.MULTILINE)
"""Lines of plugins' names: neither the benches nor the lab is a plugin."""


def plugins() -> list[str]:
    """Packages of the plugins of all distributions, sorted."""
    return sorted(file.parent.name for file in ROOT.glob("plugins/*/antiphon_*/__init__.py"))


def current(text: str) -> str:
    """pyproject.toml with every list as it is to be."""
    names = ", ".join(f'"{name}"' for name in plugins()) + ","
    run = textwrap.fill(names, WIDTH, initial_indent="  ", subsequent_indent="  ") + "\n"
    return _RUN.sub(run, text)


def main() -> int:
    text = PROJECT.read_text()
    wanted = current(text)
    if "--write" in sys.argv:
        PROJECT.write_text(wanted)
    elif wanted != text:
        print("the lists of plugins in pyproject.toml are not current: python tools/plugin_lists.py --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
