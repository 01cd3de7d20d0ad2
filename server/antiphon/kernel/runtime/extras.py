"""Missing parts: the extra of Antiphon that brings a module, and the other distribution that has a plugin."""

import importlib.util
from collections.abc import Iterable

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import resources

EXTRAS = {
    "apache_beam": "pipeline",
    "av": "containers",
    "dask": "pipeline",
    "distributed": "pipeline",
    "fastai": "fastai",
    "h5py": "training",
    "hibari": "sing",
    "keras": "keras",
    "librosa": "librosa",
    "link": "link",
    "llvmlite": "kernels",
    "mcp": "mcp",
    "mir_eval": "bench",
    "onnx": "bench",
    "onnxruntime": "onnx",
    "pedalboard": "vst3",
    "pesq": "pesq",
    "pyarrow": "pipeline",
    "pysfizz": "sfz",
    "pystoi": "bench",
    "pyworld": "training",
    "scipy": "training",
    "sklearn": "map",
    "swift_f0": "bench",
    "tensorflow": "keras",
    "tf2onnx": "keras",
    "torch": "models",
}
"""Smallest extra with a module, by module."""
LAB = frozenset({"bench", "fastai", "keras", "pesq", "pipeline", "sklearn", "torch", "training"})
"""The extras of the distribution `antiphon-lab`; the others are those of `antiphon`."""
FRAMEWORKS = {
    "sklearn": ("sklearn", "onnx", "onnxruntime"),
    "torch": ("torch", "onnx", "onnxruntime"),
    "keras": ("tensorflow", "keras", "tf2onnx", "onnxruntime"),
    "fastai": ("fastai", "torch", "onnx", "onnxruntime"),
}
"""Modules of a training framework of `antiphon pipeline run`, and of its runtime, by extra."""


def missing(modules: Iterable[str]) -> list[str]:
    """The modules that are not installed, found without importing any."""
    return [module for module in modules if importlib.util.find_spec(module) is None]


def require(needing: str, modules: Iterable[str]) -> None:
    """Raises `UsageError` if modules are not installed; `needing` is the subject of its sentence."""
    if lacking := missing(modules):
        raise UsageError(sentence(needing, *lacking))


def sentence(needing: str, *modules: str, extra: str = "") -> str:
    """Sentence without a full stop about missing modules, and the command that installs them.

    `needing` is its subject; `extra` "" selects the extras that bring the modules.
    """
    listed = " and ".join(filter(None, (", ".join(modules[:-1]), modules[-1])))
    verb = "is" if len(modules) == 1 else "are"
    return f"{needing} needs {listed}, which {verb} not installed; {install_command(*modules, extra=extra)}"


def install_command(*modules: str, extra: str = "") -> str:
    """The second half of `sentence`: "`COMMAND` installs it"."""
    needed = commands(*modules, extra=extra)
    verb, them = "installs" if len(needed) == 1 else "install", "it" if len(modules) == 1 else "them"
    return f"{' and '.join(f'`{each}`' for each in needed)} {verb} {them}"


def of_error(needing: str, error: ImportError) -> str:
    """The sentence for a failed import; "" where the module is Antiphon's own or unknown, which is a fault."""
    module = (error.name or "").partition(".")[0]
    return sentence(needing, module) if module in EXTRAS else ""


def commands(*modules: str, extra: str = "") -> list[str]:
    """Commands that install the modules, or that extra, in this installation."""
    # in a working tree a build for the CPU, where pip would bring CUDA's gigabytes
    make = not extra and "torch" in modules and resources.checkout() is not None
    found = ["make models"] if make else []
    rest = [module for module in modules if not (make and module == "torch")]
    extras = dict.fromkeys([extra] if extra else [EXTRAS[module] for module in rest if module in EXTRAS])
    parts = {
        "antiphon": [name for name in extras if name not in LAB],
        "antiphon-lab": [*filter(LAB.__contains__, extras)],
    }
    if wanted := " ".join(f"'{part}[{','.join(names)}]'" for part, names in parts.items() if names):
        found.append(f"pip install {wanted}")
    if others := [module for module in rest if module not in EXTRAS and not extra]:
        found.append(f"pip install {' '.join(others)}")
    return found


ADDED = {
    "antiphon-companion": (
        *("accompany", "answer", "follow", "hum", "listen", "record", "sing"),
        *("compact", "continue", "generate", "summary"),
    ),
    "antiphon-more": ("host", "lights", "mcp", "model", "pyo", "plugin"),
    "antiphon-sound": (
        *("classify", "denoise", "identify", "latent", "library", "loops", "mosaic", "stems", "transfer"),
        "third",
    ),
}
"""Names of plugins, then of their other processor types and commands, by distribution."""
LAB_NAME, OF_LAB = "antiphon-lab", ("dataset", "evaluate", "pipeline", "train")
"""The lab and its commands. It trains the models that the others play, so no playing part depends on it."""


def absent() -> dict[str, str]:
    """Each name of the distributions that are not installed, with its distribution."""
    return {
        name: distribution for distribution, names in ADDED.items() if not _is_installed(distribution) for name in names
    }


def advice(kind: str, name: str) -> str:
    """The sentence for another distribution's `name`, a "node" or "command"; "" for any other."""
    if kind == "command" and name in OF_LAB:
        return f"the command {name} is in {LAB_NAME}: pip install {LAB_NAME}"
    found = next((distribution for distribution, names in ADDED.items() if name in names), "")
    lacking = found and not _is_installed(found)
    return f"the {kind} {name} is in {found}: pip install {found}" if lacking else ""


def _is_installed(distribution: str) -> bool:
    root = resources.checkout()
    if root is not None and (root / "plugins" / distribution).is_dir():
        return True  # it will be seen, where it is not yet: `add_checkout_plugins`
    return importlib.util.find_spec(f"antiphon_{ADDED[distribution][0]}") is not None
