"""Shortens values in messages, so that an error stays on one line whatever the value."""

from __future__ import annotations


def shorten(text: str, most: int = 40) -> str:
    """`text`, or its beginning and "..." if it has more than `most` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def short_repr(value: object, most: int = 40) -> str:
    """`value` as Python writes it, of at most `most` characters."""
    try:
        return shorten(repr(value), most)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number of thousands of digits"
