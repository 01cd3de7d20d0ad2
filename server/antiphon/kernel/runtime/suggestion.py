"""Suggestions for an unknown name: the nearest known names first, then all allowed ones."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

MAX_LIST_LETTERS = 400
"""Most characters of a list of names in an error, two lines of a terminal; the names beyond are counted."""
MAX_NAME_LETTERS = 64
"""Most characters of a name that is compared with known ones, none of which is longer."""
MIN_SIMILARITY = 0.7
"""difflib ratio from which two names are similar: one letter in four wrong or moved; at .6 nope would match looper."""
MAX_SUGGESTIONS = 2
MIN_LISTED_SIMILARITY = 0.3
"""difflib ratio below which a name is not listed among the nearest."""
MAX_LISTED_NAMES, MAX_NEAREST = 24, 5
"""Number of names above which an error lists the nearest instead of the first, and number of the nearest."""


def nearest_names(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Returns at most two names of `known` that are similar to `name`, the nearest first."""
    return _near(name, tuple(known))


@lru_cache(maxsize=256)  # a client repeats the same wrong name often, and a comparison costs control time
def _near(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    if len(name) > MAX_NAME_LETTERS:
        return ()
    spelled = {other.lower(): other for other in reversed(known)}
    asked = name.lower()
    # of a short name two letters in turn are more than difflib allows
    swapped = [asked[:k] + asked[k + 1] + asked[k] + asked[k + 2 :] for k in range(len(asked) - 1)]
    matches = dict.fromkeys([*(word for word in swapped if word in spelled and word != asked)])
    matches |= dict.fromkeys(difflib.get_close_matches(asked, spelled, MAX_SUGGESTIONS, MIN_SIMILARITY))
    return tuple(spelled[match] for match in list(matches)[:MAX_SUGGESTIONS])


def nearest(name: str, known: Sequence[str]) -> str:
    """Lists the nearest of many names, similar or not: "the nearest of 281 are fast, fade"."""
    return _nearest(name, tuple(known))


@lru_cache(maxsize=256)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    spelled = {other.lower(): other for other in reversed(known)}
    # names too far off are not compared to the end: that costs control ten times the time
    found = dict.fromkeys(
        difflib.get_close_matches(name[:MAX_NAME_LETTERS].lower(), spelled, MAX_NEAREST, MIN_LISTED_SIMILARITY)
    )
    few = list(found | dict.fromkeys(sorted(spelled)))[:MAX_NEAREST]
    return f"the nearest of {len(known)} are {', '.join(_apart(spelled[one]) for one in few)}"


def instead(name: str, known: Iterable[str], lead: str = "there are", docs: Mapping[str, str] | None = None) -> str:
    """Writes the second half of an error about an unknown name: "; did you mean gain? there are: delay, gain".

    `docs`: descriptions of some names, searched where no name is similar: "pitch" finds names described as pitch. The
    text follows the first half without a space.
    """
    every = tuple(known)
    if len(every) > MAX_LISTED_NAMES:
        return f"; {suggest(name, every) or _described(name, docs or {})}{nearest(name, every)}"
    return f"; {suggest(name, every) or _described(name, docs or {})}{lead}: {list_names(every)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Suggests similar names: "did you mean gain? ", or "" if none is similar."""
    matches = nearest_names(name, known)
    return f"did you mean {' or '.join(map(_apart, matches))}? " if matches else ""


def _described(name: str, docs: Mapping[str, str]) -> str:
    found = [other for other, doc in docs.items() if name.lower() in re.findall(r"\w+", doc.lower())]
    return f"did you mean {' or '.join(found[:MAX_SUGGESTIONS])}? " if found else ""


def list_names(known: Iterable[str]) -> str:
    """The names on one line, "none" for none; for a long list its beginning and the number of the others.

    A name with a comma is quoted.
    """
    names = [_apart(name) for name in known]
    text, count = "", 0
    for count, name in enumerate(names):
        longer = f"{text}, {name}" if text else name
        if count and len(longer) > MAX_LIST_LETTERS:
            return f"{text}, and {len(names) - count} more"
        text = longer
    return text or "none"


def _apart(name: str) -> str:
    return f"'{name}'" if "," in name else name
