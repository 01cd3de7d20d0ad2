"""Checks a plugin at load: its declarations, and its output for a block of zeros."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.file_use import Change, FileUse
from antiphon.kernel.contract.harness import render
from antiphon.kernel.contract.params import HOST_PARAMS, Param, ParamKind
from antiphon.kernel.contract.ports import Port, PortKind
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.errors import ParamError, PluginError
from antiphon.kernel.graph.graph import NAME, RESERVED
from antiphon.kernel.runtime.importing import reason_of
from antiphon.kernel.runtime.shortening import is_finite_number
from antiphon.kernel.workers.devices import without_workers

PARAM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
TAKEN = frozenset({p.name for p in HOST_PARAMS} | {"reset", "type"})
MAX_CHANNELS = 64
MAX_PARAMS = 128
MAX_LETTERS = 4000
CHECK_LIMIT = 5.0
"""Maximum seconds for a third-party plugin to import and pass its check."""
MAX_ANSWER = 16 * MAX_LETTERS
"""Maximum letters of a check's answer, and bytes of its JSON."""


def check_type_name(name: object) -> None:
    """Raises `PluginError` for a type name that is not a valid node name: a patch uses types as node names."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"{name!r} is not a type name: letters, digits, _ and -, a letter first, at most 64")
    if name in RESERVED:
        raise PluginError(f"{name!r} is a reserved name; choose another")


def inspect_processor(name: str, make: Callable[[], Any], doc: str, plugin: str, play: bool = True) -> ProcessorInfo:
    """Constructs a processor, checks it, with `play` also on a block of silence, and returns its declaration.

    `doc`: one line for people; "" for the first line of the class's docstring.
    """
    processor = make()
    if not isinstance(processor, Processor):
        raise PluginError(f"its factory gave {type(processor).__name__}, not a Processor")
    check_params(processor.params)
    check_ports(processor)
    check_on_files(processor)
    if (type(processor).step, type(processor).process) == (Processor.step, Processor.process):
        raise PluginError("it defines neither process nor step; one of the two computes a block")
    if play:
        with without_workers():  # no process is started to try a declaration
            check_zeros(processor)
    if not isinstance(doc, str):
        raise PluginError(f"its doc is {type(doc).__name__}, not text")
    doc_text = doc or (type(processor).__doc__ or "").strip()
    line = doc_text.splitlines()[0].strip() if doc_text else ""
    return ProcessorInfo(
        name,
        line,
        plugin,
        tuple(processor.inputs),
        tuple(processor.outputs),
        tuple(processor.params),
        processor.holds,
        processor.on_files,
        native=type(processor).step is not Processor.step,
        variants=processor.variants,
    )


def check_params(params: object) -> None:
    """Raises `PluginError` for invalid parameters: a default out of range, a name twice or reserved, an empty range."""
    if not isinstance(params, tuple) or not all(isinstance(p, Param) for p in params):
        raise PluginError("its params are not a tuple of Param")
    if len(params) > MAX_PARAMS:
        raise PluginError(f"it declares {len(params)} parameters; at most {MAX_PARAMS} are allowed")
    seen: set[str] = set()
    for param in params:
        _check_param(param)
        if param.name in seen:
            raise PluginError(f"it declares the parameter {param.name!r} twice")
        seen.add(param.name)


def _check_param(param: Param) -> None:
    name = param.name
    if not isinstance(name, str) or not PARAM_NAME.fullmatch(name):
        raise PluginError(f"{name!r} is not a parameter name: letters, digits and _, a letter first, at most 64")
    if name in TAKEN:
        raise PluginError(f"the parameter name {name!r} is the host's own; choose another")
    if param.kind not in get_args(ParamKind):
        raise PluginError(f"{name} has the kind {param.kind!r}; there are: {', '.join(get_args(ParamKind))}")
    numbers = (param.low, param.high, param.smooth)
    if not all(is_finite_number(n) for n in numbers):
        raise PluginError(f"{name} has a low, high or smooth that is not a finite number")
    if not 0.0 <= param.smooth <= 60.0:
        raise PluginError(f"{name} is smoothed over {param.smooth:g} s; 0 to 60 s is allowed")
    if param.kind in ("float", "int") and not param.low < param.high:
        raise PluginError(f"{name} ranges from {param.low:g} to {param.high:g}; low must be below high")
    if param.warp not in ("linear", "log") or (param.warp == "log" and param.low <= 0.0):
        raise PluginError(f"{name} is warped {param.warp!r}; linear is allowed, and log where low is above 0")
    if param.kind == "choice" and (not param.choices or len(set(param.choices)) != len(param.choices)):
        raise PluginError(f"{name} is a choice and needs choices, each once")
    try:
        if not param.readonly:
            param.check(param.default)
        elif param.kind == "choice" and param.default not in param.choices:
            raise PluginError(f"{name} is readonly and its default {param.default!r} is none of its choices")
        elif param.kind != "choice" and not isinstance(param.default, int | float):
            raise PluginError(f"{name} is readonly and its default {param.default!r} is not a number")
    except ParamError as error:
        raise PluginError(f"the default of {error}") from None


def check_ports(processor: Processor) -> None:
    """Raises `PluginError` for invalid ports."""
    for side, ports in (("inputs", processor.inputs), ("outputs", processor.outputs)):
        if not isinstance(ports, tuple) or not all(isinstance(p, Port) for p in ports):
            raise PluginError(f"its {side} are not a tuple of Port")
        if len({p.name for p in ports}) != len(ports):
            raise PluginError(f"two of its {side} have one name")
        for port in ports:
            if not isinstance(port.name, str) or not NAME.fullmatch(port.name) or port.kind not in get_args(PortKind):
                raise PluginError(f"its {side} hold {port!r}, which is no port")
            if port.channels is not None and not 1 <= port.channels <= MAX_CHANNELS:
                raise PluginError(
                    f"its port {port.name!r} has {port.channels} channels; 1 to {MAX_CHANNELS} are allowed"
                )


def check_on_files(processor: Processor) -> None:
    """Raises `PluginError` for an invalid `on_files`."""
    use: object = processor.on_files
    if not isinstance(use, FileUse):
        raise PluginError(f"its on_files is {use!r}; an antiphon.api.FileUse is allowed")
    given = {p.name for p in processor.params if p.kind in ("file", "choice")}
    if not isinstance(use.needs, tuple) or not set(use.needs) <= given:
        raise PluginError(
            f"its on_files.needs are {use.needs!r}; a tuple of names of its file and choice parameters is allowed"
        )
    if use.preroll not in ("", *(p.name for p in processor.params if p.kind == "float" and p.low >= 0.0)):
        raise PluginError(f"its on_files.preroll is {use.preroll!r}; the name of a parameter in seconds is allowed")
    if use.causal not in ("", *(p.name for p in processor.params if p.kind == "switch")):
        raise PluginError(f"its on_files.causal is {use.causal!r}; the name of a switch is allowed")
    if use.takes not in ("", *(p.name for p in processor.params if p.kind == "float" and p.high == 1.0)):
        raise PluginError(f"its on_files.takes is {use.takes!r}; the name of a parameter up to 1 is allowed")
    if not isinstance(use.changes, tuple) or not set(use.changes) <= set(get_args(Change)):
        raise PluginError(f"its on_files.changes are {use.changes!r}; there are: {', '.join(get_args(Change))}")


def check_zeros(processor: Processor) -> None:
    """Prepares a processor and runs silence: a full block and, unless it requires a block size, a short one."""
    usual = StreamSpec()
    spec = StreamSpec(
        processor.rate or usual.rate, processor.block or usual.block, processor.channels or usual.channels
    )
    sizes = [spec.block] if processor.block is not None else [spec.block, max(1, spec.block // 3)]
    render(processor, spec, np.zeros((spec.channels, sum(sizes)), np.float32), blocks=sizes)


def in_child(task: Callable[[], str], limit: float, meanwhile: Callable[[], object] | None = None) -> str:
    """Runs a task in a forked child (`run_forked`). Returns its text, its exception, or how the child ended."""
    from antiphon.kernel.runtime.processes.forked import run_forked

    end = run_forked(partial(_answer, task), limit, MAX_ANSWER, meanwhile)
    if end.late:
        return f"its check took longer than {end.late:g} s"
    if end.answer is not None:
        return str(end.answer)
    return f"its check {'crashed with' if end.status < 0 else 'ended the process with'} {end.how}"


def _answer(task: Callable[[], str]) -> str:
    try:
        return task()[:MAX_LETTERS]
    except BaseException as error:
        return reason_of(error)[:MAX_LETTERS]
