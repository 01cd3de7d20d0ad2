"""The command line, beside which calls of a Python program are held."""

from tests.cli.conftest import antiphon as antiphon_typed, plugins_read_once

__all__ = ["antiphon_typed", "plugins_read_once"]
