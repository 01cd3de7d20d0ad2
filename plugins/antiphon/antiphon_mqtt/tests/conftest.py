"""The fixtures of the control process's tests."""

from tests.control.conftest import home, live

__all__ = ["home", "live"]
