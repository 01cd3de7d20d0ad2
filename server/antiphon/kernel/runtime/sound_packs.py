"""Packs of sounds in the performer's library, as `antiphon sounds add` marks them."""

import json
import re
from contextlib import suppress

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths

_WORD = re.compile(r"[\w-]+")


def sound_packs() -> dict[str, str]:
    """Sources of the added packs by the names of their folders."""
    found = dict[str, str]()
    for mark in sorted(paths.library().glob("*/.pack.json")):
        with suppress(FileError, ValueError, KeyError, TypeError):
            found[mark.parent.name] = str(json.loads(paths.read_ordinary(mark, 1 << 16, "a mark"))["source"])
    return found


def in_pack(param: str, word: str) -> str:
    """End of a sentence on a sound that no node plays and an added pack has; "" for any other word of a parameter."""
    if param != "s" or _WORD.fullmatch(word) is None:
        return ""
    pack = next((name for name in sound_packs() if (paths.library() / name / word).is_dir()), "")
    return (
        f'; the pack {pack} has it: write samples("{pack}") in the script, or packs = true at the node' if pack else ""
    )
