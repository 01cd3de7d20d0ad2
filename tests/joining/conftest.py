"""A control process per test, as for its own tests."""

from tests.control.conftest import client, home, live

__all__ = ["client", "home", "live"]
