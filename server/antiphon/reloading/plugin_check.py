"""Checks a version of a plugin in a new process: import, declarations, and sound through each processor."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from inspect import getsourcefile, getsourcelines
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.harness import render
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.errors import PluginError
from antiphon.kernel.graph.clips import locate_asset
from antiphon.kernel.graph.rate_adapter import adapt
from antiphon.kernel.plugins.collecting import PluginLoading
from antiphon.kernel.plugins.finding import sources
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.plugins.versions import number_of
from antiphon.kernel.runtime import importing
from antiphon.kernel.runtime.importing import Factory, reason_of, resolve
from antiphon.kernel.runtime.platform import thread_clocks
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.kernel.runtime.processes.scheduling import LOOK_SECONDS
from antiphon.kernel.workers.devices import without_workers
from antiphon.native.compiling import compile_all
from antiphon.reloading.plugin_files import BEGUN, VersionCheck

NOISE_BLOCKS = 48
"""Blocks of noise at -20 dB through each processor, as many as in the trial before a patch plays."""


class _Loading(PluginLoading):
    """Loads one plugin; an error in a declaration is reported with the line of the class."""

    def _take(self, kind: str, name: str, factory: str | Factory, doc: str, plugin: str) -> None:
        try:
            super()._take(kind, name, factory, doc, plugin)
        except PluginError as error:
            where = ""
            with contextlib.suppress(Exception):
                where = _declared(resolve(factory)())
            raise PluginError(f"{error}{where}") from error


def main(channel: HelperChannel) -> None:
    """Checks the requested version: sends `BEGUN`, and its catalog or {"problem": sentence}."""
    check = VersionCheck(**next(channel.requests()))
    sys.dont_write_bytecode = False  # the engine reads what is compiled here
    compile_all()
    channel.send(BEGUN)

    waited = thread_clocks()[1]
    ends = time.monotonic_ns() + round(check.limit * 1e9) - waited

    def late(_number: int, frame: FrameType | None) -> None:
        if time.monotonic_ns() - thread_clocks()[1] < ends:
            return  # the rest of the time it waited for a processor
        signal.setitimer(signal.ITIMER_REAL, 0)
        channel.send({"problem": f"its check took longer than {check.limit:g} s{_where(frame, check)}"})
        os._exit(0)  # it may catch what is raised here

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS, LOOK_SECONDS)
    try:
        answer = _checked(check)
    except BaseException as error:
        answer = {"problem": reason_of(error)}
    channel.send(answer)


def _where(frame: FrameType | None, check: VersionCheck) -> str:
    """File and line of the running plugin code."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(check.folder):
            return f" ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno})"
        frame = frame.f_back
    return ""


def _checked(check: VersionCheck) -> dict[str, Any]:
    folder = Path(check.folder)
    for source in sources(Path(check.plugin).parent):
        if source.problem and source.folder == Path(check.plugin):
            return {"problem": source.problem}
    importing.versions[folder.name] = folder
    loading = _Loading(True)
    loading.add(folder.name, lambda: importing.import_folder(folder))
    if loading.failures:
        failure = loading.failures[0]
        named = "" if failure.name == folder.name else f"{failure.name}: "
        return {"problem": f"{named}{failure.reason.removesuffix(f' (plugin {folder.name})')}"}
    compile_all()
    loaded = Loaded(loading.catalog(), loading.factories)
    spec = StreamSpec(check.rate, check.block, check.channels)
    for name in loaded.catalog:
        values = [given for kind, given in check.nodes if kind == name]
        problem = _sounds(loaded.make(name), spec, {}) or next(
            filter(None, (_sounds(loaded.make(name), spec, given) for given in values)), ""
        )
        if problem:
            return {"problem": f"{name}: {problem}"}
    number = number_of(check.folder)
    types = {name: replace(info, version=number) for name, info in loaded.catalog.types.items()}
    return Catalog(types, hooks=loaded.catalog.hooks).to_json()


def _sounds(processor: Processor, spec: StreamSpec, values: Mapping[str, Value]) -> str:
    """Runs noise through a processor. Returns the failure reason, or ""."""
    where = _declared(processor)
    try:
        with without_workers():  # no worker is started
            usable = dict(_usable_values({p.name: p for p in processor.params}, values))
            processor.settings |= usable  # the rate that it requires may depend on them
            noise = np.random.default_rng(1).standard_normal((spec.channels, NOISE_BLOCKS * spec.block)) * 0.1
            render(adapt(processor, spec), spec, noise.astype(np.float32), usable)
            processor.close()
    except PluginError as error:
        return f"{reason_of(error)}{where}"
    except Exception as error:
        return reason_of(error)
    return ""


def _usable_values(params: Mapping[str, Param], values: Mapping[str, Value]) -> Iterable[tuple[str, Value]]:
    for name, value in values.items():
        param = params.get(name)
        if param is not None and param.kind != "trigger" and param.takes(value):
            yield name, locate_asset(str(value)) if param.kind == "file" else param.check(value)


def _declared(processor: Processor) -> str:
    try:
        file, line = getsourcefile(type(processor)), getsourcelines(type(processor))[1]
    except (OSError, TypeError):
        return ""
    return f" ({Path(file or '').name}, line {line})"
