"""Counts lines of Python by room, plugin and part of the lab, and finds oversized items.

    python tools/sizes.py [--all] [--write]

`--all` names oversized items; `--write` puts the table into docs/architecture.md. A test fails if a row has since grown
by more than 2 %.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
MODULE_LINES, FUNCTION_LINES, PARAMETERS, FOLDER_MODULES = 600, 60, 8, 20
DISTRIBUTIONS = ("antiphon", "antiphon-companion", "antiphon-sound", "antiphon-more")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def files() -> list[str]:
    """Every Python file that git tracks, relative to the root."""
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in tracked.stdout.split() if (ROOT / name).is_file()]


def is_test(name: str) -> bool:
    """Whether a file is a test or a test's helper."""
    return name.startswith(("tests/", "conftest")) or "/tests/" in name


def row_of(name: str) -> str:
    """Table row of a file: `kernel/engine`, `web`, `antiphon_hum`, `models/hum`, `bench`."""
    parts = Path(name).parts
    match parts:
        case ["server", "antiphon", "kernel", room, *_]:
            return f"kernel/{room.removesuffix('.py')}" if not room.startswith("__") else "kernel"
        case ["server", "antiphon", room, *_]:
            return room if not room.startswith("__") else "antiphon"
        case ["plugins", _, plugin, *_]:
            return plugin
        case ["models", "antiphon_models", part, *_]:
            return f"models/{part}" if not part.startswith("__") else "models"
    return parts[0] if parts[0] in ("bench", "tests", "tools") else "scripts"


def lines(name: str) -> int:
    """Number of lines in a file, including blank ones."""
    return (ROOT / name).read_bytes().count(b"\n")


def table() -> Counter[str]:
    """Lines of each row; `tests` holds all tests."""
    counted: Counter[str] = Counter()
    for name in files():
        counted["tests" if is_test(name) else row_of(name)] += lines(name)
    return counted


def sums(rows: Counter[str]) -> dict[str, int]:
    """Sums of lines over groups of rows."""
    plugins = sum(count for row, count in rows.items() if row.startswith("antiphon_"))
    kernel = sum(count for row, count in rows.items() if row.startswith("kernel"))
    lab = sum(count for row, count in rows.items() if row.startswith("models") or row == "bench")
    scripts = rows["tools"] + rows["scripts"]
    every = sum(rows.values()) - rows["tests"]
    server = every - plugins - lab - scripts
    of = {
        name: sum(rows[plugin.name] for plugin in (ROOT / "plugins" / name).glob("antiphon_*"))
        for name in DISTRIBUTIONS
    }
    return {
        "kernel": kernel, "server, with the kernel": server, "plugins": plugins,
        **{f"  of {name}": count for name, count in of.items()},
        "distribution antiphon": server + of["antiphon"], "lab, with benches": lab,
        "tools and scripts": scripts, "all without tests": every, "tests": rows["tests"],
    }  # fmt: skip


def functions() -> Iterator[tuple[str, int, int]]:
    """Each function outside tests as (place, lines, parameters)."""
    for name in files():
        if is_test(name):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
            if isinstance(node, FUNCTIONS):
                given = node.args
                count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
                yield f"{name}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1, count  # type: ignore[operator]


def too_large() -> dict[str, list[str]]:
    """Oversized modules, functions and folders, by kind."""
    modules = [name for name in files() if not is_test(name)]
    every = list(functions())
    folders = Counter(str(Path(name).parent) for name in modules if not name.startswith("tools/"))
    return {
        f"modules over {MODULE_LINES} lines": [name for name in modules if lines(name) > MODULE_LINES],
        f"functions over {FUNCTION_LINES} lines": [place for place, length, _ in every if length > FUNCTION_LINES],
        f"parameter lists over {PARAMETERS}": [place for place, _, count in every if count > PARAMETERS],
        f"folders over {FOLDER_MODULES} modules": [name for name, n in folders.items() if n > FOLDER_MODULES],
    }


def read_table(page: str) -> dict[str, int]:
    """Rows of the table on the page."""
    return {row: int(count.replace(",", "")) for row, count in re.findall(r"^([\w/]+) +([\d,]+)$", page, re.M)}


def main() -> None:
    """Prints the sums and oversized items; with `--write` replaces the page's table."""
    rows = table()
    for name, count in sums(rows).items():
        print(f"{count:8,} {name}")
    for kind, places in too_large().items():
        print(f"{len(places):8,} {kind}")
        for place in places if "--all" in sys.argv else ():
            print(f"         {place}")
    if "--write" in sys.argv:
        head, mark, rest = PAGE.read_text("utf-8").partition("Lines of each room, plugin and part:\n\n```text\n")
        text = "".join(f"{row:24}{count:7,}\n" for row, count in sorted(rows.items()))
        PAGE.write_text(f"{head}{mark}{text}{rest[rest.index('```') :]}", "utf-8")


if __name__ == "__main__":
    main()
