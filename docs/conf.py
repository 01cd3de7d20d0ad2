"""The settings of Sphinx for `make site`: every page of the repository as one site with search, into build/site.

The pages stay where they are read in the repository, so the root of the repository is the source of the site; a link
between pages that leads nowhere is a warning, and `make site` fails on warnings.
"""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONTENTS = (
    ("Play", ["docs/gallery", "docs/sounds", "docs/formats", "docs/page", "docs/live-coding", "lessons/README"]),
    ("Control", ["docs/python", "docs/osc", "docs/http", "docs/clients/*", "supercollider/README"]),
    ("Files", ["docs/library", "docs/lab"]),
    ("Plugins", ["plugins/*/README", "plugins/*/*/README"]),
    ("Extend", ["docs/plugins", "docs/hooks", "build/api", "build/api-backends", "docs/kernel", "docs/architecture"]),
    ("Run", ["docs/operations", "docs/safety", "docs/limits"]),
    ("Measured", ["docs/benchmarks", "docs/differences", "models/README", "models/RESULTS", "models/TRAINING"]),
    (
        "Project",
        [
            "docs/glossary",
            "docs/decisions/README",
            "docs/decisions/0*",
            "CONTRIBUTING",
            "CHANGELOG",
            "THIRD_PARTY",
            ".github/*",
        ],
    ),
)
"""What the column beside each page lists: a heading, and the pages below it."""

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)\)")

_project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
project = "Antiphon"
release = version = _project["version"]
copyright = "MIT licence"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/**.md",
    "lessons/README.md",
    "models/*.md",
    "plugins/*/README.md",
    "plugins/*/*/README.md",
    "build/api*.md",
    "supercollider/README.md",
    ".github/SECURITY.md",
    ".github/CODE_OF_CONDUCT.md",
]
exclude_patterns = [".venv", "page/node_modules"]
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"Antiphon {release}"
html_copy_source = False


def prepared(app: Any, page: str, source: list[str]) -> None:
    """Adds the contents to the first page, and takes links to folders away: a site has no page for these."""
    here = (ROOT / page).parent
    source[0] = LINK.sub(lambda link: link[1] if (here / link[2]).is_dir() else link[0], source[0])
    if page == root_doc:
        for heading, pages in CONTENTS:
            lines = "\n".join(f"/{page}" for page in pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {heading}\n\n{lines}\n```\n"


def indexed(app: Any, error: Exception | None) -> None:
    """Lets the first page be found where a web server looks for it."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Any) -> None:
    app.connect("source-read", prepared)
    app.connect("build-finished", indexed)
