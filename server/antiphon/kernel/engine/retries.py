"""Nodes that overran and are tried again by themselves after a pause."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from antiphon.kernel.graph.plan import NodeFailure, Plan
from antiphon.kernel.session.actions import NodeReset

_MOST = 4096
_NONE: tuple[NodeReset, ...] = ()


class Retries:
    """Failed nodes that are tried again, and the sample from which on."""

    def __init__(self, rate: int) -> None:
        """rate: Hz."""
        self._rate = rate
        self._nodes: deque[tuple[int, int]] = deque(maxlen=_MOST)

    @property
    def rests(self) -> bool:
        """Whether no node waits."""
        return not self._nodes

    def add(self, failure: NodeFailure, sample: int) -> None:
        """Takes note of a node's failure in the block at `sample`."""
        if failure.retry:
            self._nodes.append((sample + round(failure.retry * self._rate), failure.number))

    def due(self, sample: int, plan: Plan | None) -> Sequence[NodeReset]:
        """The resets of the nodes whose pause is over at `sample`."""
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
