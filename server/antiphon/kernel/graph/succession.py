"""Hot reload of a node: the new version takes over parameter values, and processor state if it supports that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.kernel.errors import NodeError, PluginError
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.runtime.importing import raised_at

STATE_BYTES = 1 << 20
"""Maximum size of a state: copying 1 MiB takes about 0.1 ms of the first block."""


def succeeds(host: NodeHost, before: NodeHost | None) -> bool:
    """True if a host runs another plugin version of the same node."""
    return (
        before is not None
        and before is not host
        and before.info.type == host.info.type
        and before.info.version != host.info.version
    )


def check_state_transfer(host: NodeHost, before: NodeHost) -> None:
    """Tests, off the block path, whether a new version can load the running version's state."""
    try:
        state = before.processor.save_state()
        _check(state)
        if state:
            host.processor.load_state(state)
    except Exception as error:
        text = f"{host.name} ({host.info.type}) cannot continue from the state of the version before"
        raise NodeError(f"{text}: {_reason(error)}", host.name) from error


def _check(state: object) -> None:
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise PluginError("save_state gives no mapping of names to values")
    total = 0
    for name, value in state.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            total += value.nbytes
        elif not isinstance(value, int | float | str | np.number | np.bool_):
            raise PluginError(f"{name!r} is {type(value).__name__}; a number, a text or an array of numbers is allowed")
    if total > STATE_BYTES:
        raise PluginError(f"its arrays have {total:,} bytes; at most {STATE_BYTES:,} are carried over")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}{raised_at(error)}"


def succeed(host: NodeHost, before: NodeHost) -> None:
    """Copies values and state from the previous version. On the block path, before the host's first block."""
    for cell in host.cells:
        old = before.by_name.get(cell.param.name)
        if old is not None and cell.param.agrees(old.param):
            cell.resume(old.state())
    host.active = list(host.cells)
    host.wake()
    if before.failed:
        return
    try:
        state: Mapping[str, Any] = before.processor.save_state()
        if state:
            host.processor.load_state(state)
    except Exception:
        # the trial run of these calls succeeded; on failure the processor is reset
        host.reset()
