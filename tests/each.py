"""One test for all rows of a table, where a row needs its values alone and no folder, server or fixture of its own."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def each(names: str, rows: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `pytest.mark.parametrize`, within one case: all rows are tried, and those that fail are named."""
    keys, table = [name.strip() for name in names.split(",")], list(rows)

    def with_rows(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def tried(**given: object) -> None:
            wrong: list[Exception] = []
            for row in table:
                values = dict(zip(keys, row if len(keys) > 1 else (row,), strict=True))
                try:
                    test(**given, **values)
                except Exception as error:
                    error.add_note(f"with {values!r:.500}")
                    wrong.append(error)
            if wrong:
                raise wrong[0] if len(wrong) == 1 else ExceptionGroup(f"{len(wrong)} of {len(table)} rows", wrong)

        left = [p for p in inspect.signature(test).parameters.values() if p.name not in keys]
        tried.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]
        return tried

    return with_rows
