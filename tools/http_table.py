"""Writes the list of addresses in docs/http.md, from the operations; with --check it compares only."""

import re
import sys
from pathlib import Path

from antiphon.web.operations import TokenLevel
from antiphon.web.routes import all_operations

PAGE = Path(__file__).parents[1] / "docs/http.md"
TABLE = re.compile(r"(?:^- `(?:GET|POST|PUT|DELETE) /.*\n)+", re.MULTILINE)
TOKEN = {TokenLevel.ANYONE: " (open)", TokenLevel.READ: "", TokenLevel.OWNER: " (token)"}


OPERATIONS = all_operations()


def table() -> str:
    """The list in Markdown."""
    return "".join(
        f"- `{one.method} {one.path}`{TOKEN[one.level]}: {' '.join(one.doc).strip()}\n" for one in OPERATIONS
    )


def main() -> None:
    made = TABLE.sub(lambda _: table(), PAGE.read_text())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
    elif PAGE.read_text() != made:
        sys.exit("the list of docs/http.md is not what the operations give: python tools/http_table.py")


if __name__ == "__main__":
    main()
