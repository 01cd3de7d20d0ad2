"""A TorchScript file after nn~'s convention, in a worker or in the probe. Imports torch.

The convention (of the nn~ objects for Max and Pure Data, which RAVE's exports follow): for each method a tensor
`NAME_params` = [channels in, ratio in, channels out, ratio out], where a ratio is the frames of sound for one value;
a method takes and gives float32 `[batch, channels, values]`. `get_methods` and `get_attributes` list names; an
attribute has `get_NAME`, `set_NAME` and the kinds of its values in `NAME_params` (0 bool, 1 int, 2 float, 3 str). A
method keeps its memory (cached convolutions) in the module, so that each stream has a copy of it.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.jit._recursive import wrap_cpp_module

from antiphon.api import Samples
from antiphon.api.backends.models import ModelError
from antiphon_model import archive, operators
from antiphon_model.landlock import Run, sentence

KINDS = ("bool", "int", "float", "str")
RATES = ("sr", "sampling_rate", "sample_rate")
"""Attributes with the training rate of exports: RAVE's `sr`, and the usual ones."""
LATENCIES = ("latency", "latency_samples")
"""Attributes with a declared latency in frames."""
MAX_CHANNELS = 64
MAX_RATIO = 65536


def load(data: bytes) -> Any:
    """Loads a `torch.jit.ScriptModule`, its archive and operators checked, in evaluation, without gradients.

    Raises ModelError: the file is no TorchScript model.
    """
    archive.check(data)
    torch_c: Any = torch._C  # whose types torch states in part, and wrongly
    unit = torch_c.CompilationUnit()
    try:
        # what torch.jit.load does, with the unit kept: it has all functions and methods of the file
        loaded = torch_c.import_ir_module_from_buffer(unit, data, torch.device("cpu"), {}, False)
        operators.check(unit.get_functions())
        module = wrap_cpp_module(loaded)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"torch cannot load it ({sentence(error)}); export it again") from None
    module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def methods(module: Any) -> dict[str, tuple[int, int, int, int]]:
    """(channels in, ratio in, channels out, ratio out) of each method that a module declares, by name.

    `forward` is sound in, sound out of one channel where nothing is declared. Raises ModelError: a declaration is out
    of range, or there is no method.
    """
    have = list(module._c._method_names())
    listed = [str(name) for name in _called(module, "get_methods", have)]
    found = {}
    for name in [n for n in listed if n in have]:
        declared = _tensor(module, f"{name}_params")
        if declared is not None and declared.numel() == 4:
            inputs, in_ratio, outputs, out_ratio = (int(n) for n in declared.flatten().tolist())
            found[name] = inputs, in_ratio, outputs, out_ratio
            _in_range(name, found[name])
    if not found and "forward" in have:
        found["forward"] = (1, 1, 1, 1)
    if not found:
        raise ModelError("it declares no method (a tensor NAME_params of 4 numbers beside each), as nn~ needs it")
    return found


def attributes(module: Any) -> dict[str, tuple[str, ...]]:
    """Types of the values accepted by `set_NAME`, by name of an attribute."""
    have = set(module._c._method_names())
    found = {}
    for name in (str(n) for n in _called(module, "get_attributes", [])):
        kinds = _tensor(module, f"{name}_params")
        if f"set_{name}" in have and kinds is not None and all(0 <= int(k) < len(KINDS) for k in kinds.flatten()):
            found[name] = tuple(KINDS[int(k)] for k in kinds.flatten())
    return found


def rate(module: Any) -> int:
    """Sample rate of a module; 0 if it declares none."""
    return _number(module, RATES, 1000, 768000)


def latency(module: Any, method: str) -> int | None:
    """Declared latency of a module in frames, `METHOD_latency` before the general one; None without one."""
    names = (f"{method}_latency", *LATENCIES)
    there = any(module._c.hasattr(name) for name in names)
    return _number(module, names, 0, 1 << 20) if there else None


class TorchScriptProgram:
    """A `StreamProgram`: a loaded module with one method chosen and its attributes set."""

    def __init__(self, module: Any, method: str, values: str = "", rate: int = 0, device: str = "cpu") -> None:
        """Sets up a module by attributes as text, `name=value name=value,value`; `rate` 0 is its own.

        Raises ModelError: there is no such method or attribute.
        """
        if method not in methods(module):
            raise ModelError(f"it has no method {method!r}")
        self._module, self._method, self.device = module.to(device), method, device
        with torch.inference_mode():
            if rate and module._c._has_method("set_sample_rate"):
                module.set_sample_rate(rate)
            self._set(values)

    def begin(self) -> Run:
        """Begins a stream: a copy of the module, with the buffers of the file."""
        run = getattr(copy.deepcopy(self._module), self._method)

        def step(x: Samples) -> Samples:
            with torch.inference_mode():
                y = run(torch.from_numpy(np.ascontiguousarray(x)).unsqueeze(0).to(self.device))
                if not isinstance(y, torch.Tensor) or y.dim() != 3 or y.shape[0] != 1:
                    got = list(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
                    raise ModelError(f"gave {got} instead of [1, channels, values]")
                out: Samples = y[0].to("cpu", torch.float32).numpy()
                return out

        return step

    def _set(self, values: str) -> None:
        known = attributes(self._module)
        for item in values.split():
            name, _, text = item.partition("=")
            if name not in known:
                raise ModelError(f"it has no attribute {name!r}; it has: {', '.join(known) or 'none'}")
            words, kinds = text.split(","), known[name]
            if len(words) != len(kinds):
                raise ModelError(
                    f"its attribute {name} takes {len(kinds)} values ({', '.join(kinds)}), not {len(words)}"
                )
            try:
                given = [_typed(word, kind) for word, kind in zip(words, kinds, strict=True)]
            except ValueError:
                raise ModelError(f"its attribute {name} takes {', '.join(kinds)}, not {text!r}") from None
            try:
                done = getattr(self._module, f"set_{name}")(*given)
            except Exception as error:
                raise ModelError(f"its attribute {name} cannot be set to {text!r}: {sentence(error)}") from None
            if isinstance(done, int) and done not in (0, True):
                raise ModelError(f"it refuses the attribute {name}={text}")


def _typed(word: str, kind: str) -> bool | int | float | str:
    if kind == "bool":
        if word.lower() not in ("0", "1", "true", "false", "on", "off"):
            raise ValueError(word)
        return word.lower() in ("1", "true", "on")
    kinds: dict[str, Callable[[str], int | float | str]] = {"int": int, "float": float, "str": str}
    return kinds[kind](word)


def _called(module: Any, name: str, instead: list[str]) -> list[Any]:
    if not module._c._has_method(name):
        return instead
    try:
        return list(getattr(module, name)())[:64]
    except Exception as error:
        raise ModelError(f"its {name} failed: {sentence(error)}") from None


def _tensor(module: Any, name: str) -> torch.Tensor | None:
    value = module._c.getattr(name) if module._c.hasattr(name) else None
    return value if isinstance(value, torch.Tensor) and value.numel() <= 64 else None


def _number(module: Any, names: tuple[str, ...], low: int, high: int) -> int:
    for name in names:
        value = module._c.getattr(name) if module._c.hasattr(name) else None
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return round(value)
    return 0


def _in_range(name: str, numbers: tuple[int, ...]) -> None:
    for what, number, most in zip(
        ("channels in", "frames a value in", "channels out", "frames a value out"),
        numbers,
        (MAX_CHANNELS, MAX_RATIO, MAX_CHANNELS, MAX_RATIO),
        strict=True,
    ):
        if not 1 <= number <= most:
            raise ModelError(f"its method {name} declares {number} {what}; 1 to {most} is allowed")
