"""Addresses of the operations of plugins."""

from collections.abc import Mapping

from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.operations.shared import add_operation_addresses


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Has control answer for operations; as of `Companions.control`."""
    app.offers.append(add_operation_addresses)
