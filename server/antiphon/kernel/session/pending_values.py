"""Pending values: parameter changes while the engine prepares a plan."""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.kernel.session.node_state import Numbers


class PendingValues:
    """Values to restore if a plan is refused, and values to send again once it plays.

    Numbers are keyed by their index in the session's `Numbers`, values by node number and cell.
    """

    def __init__(self) -> None:
        self._before: dict[int, float] = {}
        self._before_next: dict[int, float] = {}
        self._again: dict[tuple[int, int], float] = {}

    def overwritten(self, at: int, number: float, *, preparing: bool) -> None:
        """Stores the overwritten number at index `at`, for a rollback.

        `preparing`: a plan is in preparation, so that the edit belongs to the plan after it.
        """
        (self._before_next if preparing else self._before).setdefault(at, number)

    def outdate(self, at: int) -> None:
        """Drops the rollback value of a number, as the engine was sent another since."""
        self._before.pop(at, None)
        self._before_next.pop(at, None)

    def send_again(self, node: int, cell: int, until: float = 0.0) -> None:
        """Schedules a value to be sent again; its ramp ends at frame `until`."""
        self._again[(node, cell)] = until

    def drop_again(self) -> None:
        """Cancels all values that are to be sent again."""
        self._again.clear()

    def take_again(self) -> Iterator[tuple[int, int, float]]:
        """Yields (node, cell, until) of the values to send again, and removes them."""
        again, self._again = self._again, {}
        for (node, cell), until in again.items():
            yield node, cell, until

    def confirm(self) -> None:
        """Handles a confirmed plan: drops the values its edits replaced."""
        self._before, self._before_next = self._before_next, {}

    def supersede(self) -> None:
        """Handles a refused plan with a newer one to follow."""
        for at, number in self._before_next.items():
            self._before.setdefault(at, number)
        self._before_next = {}

    def revert(self, numbers: Numbers) -> None:
        """Handles a refused plan without a successor: restores the numbers."""
        for at, number in self._before.items():
            numbers[at] = number
        self._before = {}
        self._again.clear()
