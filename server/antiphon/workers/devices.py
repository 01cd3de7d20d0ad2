"""Which device models run on, found without importing torch: the engine asks, and must not load it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from antiphon.errors import WorkerError
from antiphon.runtime.suggestion import instead

Device: TypeAlias = Literal["cpu", "cuda"]
DEVICES = ("auto", "cpu", "cuda")
_DEV = Path("/dev")
# the driver's nodes, and the one through which Windows lends its card to Linux
_NODES = ("nvidia[0-9]*", "dxg")


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """The torch that is installed. cuda: the toolkit's version it was built for, "" for a CPU build."""

    version: str
    cuda: str


def installed() -> TorchBuild | None:
    """What torch's own version file says, read as text; None without torch."""
    found = importlib.util.find_spec("torch")
    if found is None or not found.origin:
        return None
    try:
        text = Path(found.origin).with_name("version.py").read_text("utf-8")
    except OSError:
        return TorchBuild("of an unknown version", "")
    return TorchBuild(_said(text, "__version__") or "of an unknown version", _said(text, "cuda"))


def resolve(asked: str, dev: Path = _DEV) -> Device:
    """What "auto", "cpu" or "cuda" comes to here. dev: the folder of device nodes.

    "auto" is cuda where torch is a CUDA build and an NVIDIA card's device node is there. Raises `WorkerError`
    when cuda is asked for by name and cannot be had. That the card works is known only to the worker.
    """
    if asked not in DEVICES:
        raise WorkerError(f"{asked!r} is no device{instead(asked, DEVICES)}")
    if asked == "cpu":
        return "cpu"
    lacking = _lacking(dev)
    if not lacking:
        return "cuda"
    if asked == "cuda":
        raise WorkerError(f"{lacking}, or use --device cpu")
    return "cpu"


def _lacking(dev: Path) -> str:
    """What cuda lacks and what to do about it; "" when nothing."""
    build = installed()
    if build is None:
        return "--device cuda needs torch, which is not installed: install a CUDA build of it"
    if not build.cuda:
        return f"--device cuda needs a CUDA build of torch, and torch {build.version} is none: install one"
    if not any(found for pattern in _NODES for found in dev.glob(pattern)):
        return f"--device cuda needs an NVIDIA card, and {dev} has no node of one: load its driver"
    return ""


def _said(text: str, name: str) -> str:
    found = re.search(rf"^{name}\b[^=\n]*=\s*['\"]([^'\"\n]+)['\"]", text, re.MULTILINE)
    return found.group(1) if found else ""
