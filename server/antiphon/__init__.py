"""Antiphon: a live audio server that listens and answers.

`antiphon serve` starts it; `antiphon.api` holds what a plugin imports.
"""

__version__: str

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """The version, looked up lazily, since the look-up would delay every start."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("antiphon")
    except PackageNotFoundError:
        number = "0+source"
    globals()[name] = number
    return number
