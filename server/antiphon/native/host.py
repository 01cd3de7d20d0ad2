"""What the compiler asks of the program that it is part of, which sets these two functions."""

from collections.abc import Callable
from pathlib import Path

cache_folder: Callable[[], Path] | None = None
"""Returns the folder for machine code outside a virtual environment; None where there is none."""
error_without: Callable[[str, str], Exception] | None = None
"""Makes the error of a kernel, by name, that lacks a module; None for the ModuleNotFoundError itself."""
