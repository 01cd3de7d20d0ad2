"""Plugins, processors and commands of Antiphon's other distributions, so that a refusal can name the one to install."""

import importlib.util

from antiphon.kernel.runtime import resources

ADDED = {
    "antiphon-companion": (
        *("accompany", "answer", "follow", "hum", "listen", "sing"),
        *("compact", "continue", "generate", "summary"),
    ),
    "antiphon-more": ("host", "lights", "mcp", "model", "pyo", "plugin"),
    "antiphon-sound": (
        *("classify", "denoise", "identify", "latent", "library", "loops", "mosaic", "stems", "transfer"),
        "third",
    ),
}
"""Names of plugins, then of their other processor types and commands, by distribution."""
LAB, OF_LAB = "antiphon-lab", ("dataset", "evaluate", "pipeline", "train")
"""The lab and its commands; it teaches what the others play, so nothing that plays lacks it."""


def absent() -> dict[str, str]:
    """Each name of the distributions that are not installed, with its distribution."""
    return {
        name: distribution for distribution, names in ADDED.items() if not _is_installed(distribution) for name in names
    }


def advice(kind: str, name: str) -> str:
    """The sentence for another distribution's `name`, a "node" or "command"; "" for any other."""
    if kind == "command" and name in OF_LAB:
        return f"the command {name} is in {LAB}: pip install {LAB}"
    found = next((distribution for distribution, names in ADDED.items() if name in names), "")
    lacking = found and not _is_installed(found)
    return f"the {kind} {name} is in {found}: pip install {found}" if lacking else ""


def _is_installed(distribution: str) -> bool:
    root = resources.checkout()
    if root is not None and (root / "plugins" / distribution).is_dir():
        return True  # it will be seen, where it is not yet: `see_checkout_plugins`
    return importlib.util.find_spec(f"antiphon_{ADDED[distribution][0]}") is not None
