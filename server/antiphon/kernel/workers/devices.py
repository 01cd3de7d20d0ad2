"""The device that models run on, found without torch, which the engine must not load, and this process's choice."""

import importlib.util
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from antiphon.kernel.errors import WorkerError
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.terms import spell

Device: TypeAlias = Literal["cpu", "cuda"]
DEVICES = ("auto", "cpu", "cuda")
_DEV = Path("/dev")
# device nodes of the NVIDIA driver, and of a card in the Windows Subsystem for Linux
_NODES = ("nvidia[0-9]*", "dxg")


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """The installed torch: its version, and its CUDA toolkit version ("" for a CPU build)."""

    version: str
    cuda: str


def installed_torch() -> TorchBuild | None:
    """The installed torch by its version file, which is read as text; None without torch."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text("utf-8")
    except OSError:
        return TorchBuild("of an unknown version", "")
    return TorchBuild(_assigned_text(text, "__version__") or "of an unknown version", _assigned_text(text, "cuda"))


def resolve(asked: str, dev: Path = _DEV) -> Device:
    """Chooses the device: "cpu", "cuda", or "auto" for cuda where torch is a CUDA build and there is an NVIDIA card.

    The card is not tested: only the worker can. `dev` is the folder of device nodes.
    """
    if asked not in DEVICES:
        raise WorkerError(f"{asked!r} is no device{instead(asked, DEVICES)}")
    if asked == "cpu":
        return "cpu"
    lacking = _lacking(dev)
    if not lacking:
        return "cuda"
    if asked == "cuda":
        raise WorkerError(f"{lacking}, or use {spell('device')} cpu")
    return "cpu"


def _lacking(dev: Path) -> str:
    """Missing requirement for cuda, and how to install it; "" if nothing is missing."""
    build = installed_torch()
    if build is None:
        return f"{spell('device')} cuda needs torch, which is not installed: install a CUDA build of it"
    if not build.cuda:
        return f"{spell('device')} cuda needs a CUDA build of torch, and torch {build.version} is none: install one"
    if not any(path for pattern in _NODES for path in dev.glob(pattern)):
        return f"{spell('device')} cuda needs an NVIDIA card, and {dev} has no node of one: load its driver"
    return ""


def _assigned_text(text: str, name: str) -> str:
    found = re.search(rf"^{name}\b[^=\n]*=\s*['\"]([^'\"\n]+)['\"]", text, re.MULTILINE)
    return found.group(1) if found else ""


@dataclass(slots=True)
class PoolContext:
    """Process-wide pool settings."""

    pool: Any = None  # the `pool.Pool` of this process
    asked: str = "auto"  # device of the lockstep pool: "auto", "cpu" or "cuda"


class ThreadContext(threading.local):
    """Settings of a thread for its use of workers; each thread has its own."""

    disabled: bool = False
    weighed: Device | None = None
    replaying: bool = False


CONTEXT, HERE = PoolContext(), ThreadContext()


def set_preferred_device(device: str) -> None:
    """Sets the device ("auto", "cpu" or "cuda") of this process's lockstep pool, before it is created."""
    CONTEXT.asked = device


def workers_disabled() -> bool:
    """True within a thread's `without_workers`."""
    return HERE.disabled


@contextmanager
def without_workers(device: Device | None = None) -> Iterator[None]:
    """Makes `current_pool` return None to this thread within a `with` block, for checks of a processor.

    `device`: the models' device, where the cost of a processor is measured, so that it computes what it does without a
    worker. None where nothing is measured.
    """
    before = HERE.disabled, HERE.weighed
    HERE.disabled, HERE.weighed = True, device
    try:
        yield
    finally:
        HERE.disabled, HERE.weighed = before


def preferred_device() -> Device:
    """The device set by `set_preferred_device`, if available."""
    return resolve(CONTEXT.asked)
