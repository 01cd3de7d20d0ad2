"""Antiphon: a live audio server that listens and answers.

`antiphon serve` starts it; `Processor` and `Param` are what a plugin author needs.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("antiphon")
except PackageNotFoundError:
    __version__ = "0+source"

__all__ = ["__version__"]
