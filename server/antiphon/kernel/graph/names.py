"""The names that a node can have."""

import re

IN, OUT, MACRO = "in", "out", "macro"
RESERVED = frozenset({"add", "remove", "move", "connect", "disconnect", "list", IN, OUT, MACRO})
PAIRS = tuple(f"{first}-{first + 1}" for first in range(3, 16, 2))
"""The output pairs beyond the first, which is `OUT` itself, as in the wire end `out.3-4`."""
CUE = "cue"
"""Cue pair, for the performer's headphones, as in the wire end `out.cue`."""
CANCELLER = "echo_cancel"
"""Type of the node that removes the loudspeakers' sound from the input; its second input is the played sound."""
GUARD = "howl_guard"
"""Type of the node, with the same inputs, that lowers an input whose loop through the loudspeakers feeds back."""
BUSES = (*PAIRS, CUE)
SCENE_NAME, MAX_SCENE_NAME = "name", 32
"""Key under which a scene in a patch has its displayed name, beside its values, and that name's maximum characters."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
SUFFIX = ".toml"
"""Suffix of the files of patches and set lists."""
PREVIOUS = "~"
"""Suffix of the name of a patch's previous version, before it was saved over. It can be loaded and is not listed."""
OPTIONAL_KEY = "optional"
"""Key of a node: with `optional = true` the patch plays without the node if its type is not installed."""
MAX_LINE_LETTERS = 400
"""Most characters of a description, and of a hint."""
MAX_GROUP_LETTERS = 40
"""Most characters of a group's name."""
