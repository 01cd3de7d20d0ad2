"""Live sets that HTTP clients may render: scripts on this machine, by name.

A script is a program and runs with its owner's rights. So a client can only name a shipped script, or one in the
performer's folder. HTTP saves scripts there, so these are evaluated only with `serve --live`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from antiphon.jobs.job import Missing
from antiphon.kernel.graph.names import MAX_LINE_LETTERS
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.shortening import composed, escape_unprintable, shorten
from antiphon.kernel.runtime.suggestion import instead
from antiphon.operations.patch_list import SETS, files_in, head_of, playable

SUFFIX = ".py"
MAX_SETS = 1000
"""Maximum sets of a folder."""
BARS = 16
"""Default bars of a set."""
_QUOTED = re.compile(r'\s*"""(.*?)(?:"""|\n\s*\n|\Z)', re.DOTALL)
_BARS = re.compile(r"--bars (\d{1,4})\b")
_PATCH = re.compile(r'^patch\("(\w+)"\)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LiveSet:
    """A live script."""

    name: str
    line: str
    bars: int
    own: bool
    path: Path


def folders() -> tuple[Path, Path]:
    """Folders of the shipped sets, and of the performer's."""
    return resources.patches() / SETS, paths.scripts()


def live_sets() -> dict[str, LiveSet]:
    """All sets by name. Shipped sets are listed if their patch's nodes are installed; the performer's override them."""
    found: dict[str, LiveSet] = {}
    for own, folder in enumerate(folders()):
        for path in sorted(path for path in files_in(folder, SUFFIX) if path.name[0] != "_")[:MAX_SETS]:
            head = head_of(path)
            quoted, bars = _QUOTED.match(head), _BARS.search(head)
            line = escape_unprintable(" ".join(quoted[1].split()))[:MAX_LINE_LETTERS] if quoted else ""
            name = composed(path.stem)
            patch = _PATCH.search(head)
            if own or patch is None or playable(patch[1]):
                found[name] = LiveSet(name, line, int(bars[1]) if bars else BARS, bool(own), path)
    return dict(sorted(found.items()))


def live_set(name: str) -> LiveSet:
    """Finds a set by looking up file names, never a path. Raises `Missing` if there is none."""
    known, name = live_sets(), composed(name)
    if name not in known:
        raise Missing(f"there is no live set {shorten(name)!r}{instead(name, known)}")
    return known[name]
