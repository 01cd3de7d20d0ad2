"""What there is instead of a name that nobody has: the nearest ones first, then all that is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache

MOST = 400
"""Characters of a list of names in a refusal: two lines of a terminal; what is longer is cut and counted."""
LONGEST = 64
"""Characters of a name that is compared with others: no name of ours is longer."""
NEAR = 0.7
"""difflib's ratio from which two names are near: one letter in four wrong or moved; at .6 nope is near looper."""
SUGGESTED = 2


def near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """At most two names of `known` that may have been meant, the nearest first; none where none is near."""
    return _near(name, tuple(known))


@lru_cache(maxsize=256)  # a sender that is wrong is wrong again and again, and control has other things to do
def _near(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    if len(name) > LONGEST:
        return ()
    spelled = {other.lower(): other for other in reversed(known)}
    return tuple(spelled[found] for found in difflib.get_close_matches(name.lower(), spelled, SUGGESTED, NEAR))


def instead(name: str, known: Iterable[str], lead: str = "there are") -> str:
    """Writes the rest of a refusal of an unknown name: "; did you mean gain? there are: delay, gain".

    Args:
        name: What was asked for.
        known: All that is allowed, in the order in which it is listed.
        lead: What stands before the list.

    Returns:
        The text, to follow the refusal without a space.
    """
    every = tuple(known)
    return f"; {meant(name, every)}{lead}: {listed(every)}"


def meant(name: str, known: Iterable[str]) -> str:
    """Suggests near names: "did you mean gain? ", or "" where nothing is near."""
    found = near(name, known)
    return f"did you mean {' or '.join(found)}? " if found else ""


def listed(known: Iterable[str]) -> str:
    """The names on one line, "none" for none; of a long list the beginning, and how many more there are."""
    names = list(known)
    text, count = "", 0
    for count, name in enumerate(names):
        longer = f"{text}, {name}" if text else name
        if count and len(longer) > MOST:
            return f"{text}, and {len(names) - count} more"
        text = longer
    return text or "none"
