"""One test for all rows of a table, where a row needs its values alone and no folder, server or fixture of its own."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def each(names: str, rows: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `pytest.mark.parametrize`, within one case: all rows are tried, and those that fail or skip are named."""
    keys, table = [name.strip() for name in names.split(",")], list(rows)
    assert table, f"no rows of {names}"

    def with_rows(test: Callable[..., None]) -> Callable[..., None]:
        assert not inspect.iscoroutinefunction(test), "nothing awaits its rows: give them to pytest.mark.parametrize"

        @functools.wraps(test)
        def tried(**given: object) -> None:
            wrong: list[BaseException] = []
            for row in table:
                values = dict(zip(keys, row if len(keys) > 1 else (row,), strict=True))
                try:
                    test(**given, **values)
                except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
                    error.add_note(f"with {values!r:.500}")
                    wrong.append(error)
            if wrong:
                raise wrong[0] if len(wrong) == 1 else BaseExceptionGroup(f"{len(wrong)} of {len(table)} rows", wrong)

        left = [p for p in inspect.signature(test).parameters.values() if p.name not in keys]
        tried.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]
        return tried

    return with_rows
