"""docs/glossary.md: each word once, in order, with a file that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text()
TOPS = (ROOT, ROOT / "server" / "antiphon", ROOT / "server" / "antiphon" / "kernel")
ROWS = re.findall(r"^\| ([\w ]+) \| (.+) \| `(.+)` \|$", PAGE, re.MULTILINE)


def test_what_the_page_names_exists() -> None:
    files = {where for _, _, where in ROWS} | set(re.findall(r"`([\w/]+\.py)`", PAGE))
    missing = [name for name in files if not any((top / name).is_file() for top in TOPS)]
    assert missing == []
