"""Fails when a test file took over ten seconds of a processor in its last run here, and is not marked slow.

`make lint` runs it; `tests/timing.py` keeps what files take. Without a run there is nothing to say.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAKEN = ROOT / ".pytest_cache/v/antiphon/taken"
MOST = 10.0
"""Seconds of a processor that a file without the mark may take."""
MARK = re.compile(r"^pytestmark = [^=]*?\bmark\.slow\b", re.MULTILINE)


def main() -> int:
    """Names the files; returns the exit status."""
    taken = json.loads(TAKEN.read_text()) if TAKEN.exists() else {}
    long = {file: processor for file, (_, processor) in taken.items() if processor > MOST}
    status = 0
    for file, processor in sorted(long.items(), key=lambda one: -one[1]):
        path = ROOT / file
        if path.exists() and not MARK.search(path.read_text()):
            print(f"{file} took {processor:.0f} s of a processor, {MOST:.0f} at most: make it cheaper, or mark it slow")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
