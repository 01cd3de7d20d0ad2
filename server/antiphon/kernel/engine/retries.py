"""Automatic retries, after a pause, of nodes that overran or gave NaN."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from antiphon.kernel.graph.plan import NodeFailure, Plan
from antiphon.kernel.session.actions import NodeReset

_MOST = 4096
_NONE: tuple[NodeReset, ...] = ()


class Retries:
    """Failed nodes with the sample of their next retry."""

    def __init__(self, rate: int) -> None:
        """rate: Hz."""
        self._rate = rate
        self._nodes: deque[tuple[int, int]] = deque(maxlen=_MOST)

    @property
    def rests(self) -> bool:
        """True if no retry is pending."""
        return not self._nodes

    def add(self, failure: NodeFailure, sample: int) -> None:
        """Schedules the retry of a node that failed in the block at `sample`."""
        if failure.retry:
            self._nodes.append((sample + round(failure.retry * self._rate), failure.number))

    def due(self, sample: int, plan: Plan | None) -> Sequence[NodeReset]:
        """Resets of the nodes whose retry is due at `sample`."""
        if not self._nodes or plan is None:
            return _NONE
        resets = []
        for _ in range(len(self._nodes)):
            at, node = self._nodes.popleft()
            host = plan.hosts.get(node)
            if at > sample:
                self._nodes.append((at, node))
            elif host is not None and host.retry:  # else it was reset meanwhile, or failed otherwise
                resets.append(NodeReset(node))
        return resets
