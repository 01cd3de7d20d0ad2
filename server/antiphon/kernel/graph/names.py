"""The names that a node can have."""

import re

IN, OUT, MACRO = "in", "out", "macro"
RESERVED = frozenset({"add", "remove", "move", "connect", "disconnect", "list", IN, OUT, MACRO})
PAIRS = tuple(f"{first}-{first + 1}" for first in range(3, 16, 2))
"""The pairs of output channels beyond the first, which is `OUT` itself; a wire goes to `out.3-4`."""
CUE = "cue"
"""Cue pair, for the performer's headphones; a wire goes to `out.cue`."""
CANCELLER = "echo_cancel"
"""Type of the node, with what was played as its second input, that loudspeakers are taken out of the input by."""
GUARD = "howl_guard"
"""Type of the node, with the same inputs, that lowers an input whose loop through the loudspeakers howls."""
BUSES = (*PAIRS, CUE)
SCENE_NAME, MAX_SCENE_NAME = "name", 32
"""Key of a scene, beside those of its values, under which a patch says what people read, and its characters at most."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
