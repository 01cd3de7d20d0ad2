"""`antiphon plugins`: lists loaded and failed plugins with the reasons; `antiphon plugins NAME`: shows one in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.option_records import Json
from antiphon.cli.terminal.progress import echo_answer, style_text
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import HOST_PARAMS, Param
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.importing import reason_of
from antiphon.kernel.runtime.paths import plugins as own_folder

if TYPE_CHECKING:
    from antiphon.kernel.plugins.loader import Loaded

RATE, BLOCK = 48000, 256
"""Rate in Hz and block in frames of the displayed latencies."""


def plugins(
    name: Annotated[str, argument("One processor, shown in full.", placed=True, names="plugins")] = "",
    plugins_dir: Annotated[Path | None, argument("A folder of plugin folders.")] = None,
    scanned: Annotated[bool, argument("List the LV2, CLAP and VST3 plugins of this machine.", flags="--scan")] = False,
    as_json: Json = False,
) -> None:
    """List the effects, instruments and listeners that a patch can have; NAME shows one with its parameters.

    --scan tries each plugin of others in a process of its own; a line begins with what the parameter uri takes.
    """
    if scanned:
        from antiphon.kernel.plugins.registry import service

        lines = iter(service("scan").lines())
        typer.echo(
            next(lines, "no plugin of others is installed, nor in the folders of LV2_PATH, CLAP_PATH and VST3_PATH")
        )
        for line in lines:
            typer.echo(line)
        return
    from antiphon.kernel.graph.graph import known_type
    from antiphon.kernel.plugins.loader import load

    loaded = load(plugins_dir)
    if name:
        info = known_type(name, loaded.catalog)
        echo_answer(as_json, plain(info, loaded) if as_json else None, map(_styled, card(info, loaded)))
        return
    echo_answer(as_json, loaded.catalog.to_json(), map(_styled, listing(loaded.catalog)))
    if not as_json:
        typer.echo("antiphon plugins NAME shows one with its parameters")
        typer.echo(f"your own plugins go into {plugins_dir or own_folder()}")


def _styled(line: str) -> str:
    """A line that is not indented as a heading."""
    name, gap, rest = line.partition("  ")
    return line if line.startswith(" ") else f"{style_text(name, 'head')}{gap}{rest}"


def listing(catalog: Catalog) -> Iterator[str]:
    """Lines of the list: each type with its doc, below its plugin; then failures."""
    widest = max((len(name) for name in catalog), default=0)
    for plugin in sorted({catalog[name].plugin for name in catalog}):
        yield plugin
        for name in sorted(catalog):
            if catalog[name].plugin == plugin:
                yield f"    {name:<{widest}}  {catalog[name].doc}".rstrip()
    if catalog.failures:
        yield "did not load:"
    for failure in catalog.failures:
        yield f"    {failure.name}: {failure.reason}"


def card(info: ProcessorInfo, loaded: Loaded) -> Iterator[str]:
    """Lines of a type's description: ports, latency, its own and the host's parameters, usage on files."""
    yield f"{info.type}  ({info.plugin})  {info.doc}".rstrip()
    yield f"    {ports(info)}"
    frames, problem = latency(info, loaded)
    latency_text = f"unknown: {problem}" if problem else f"{frames} frames, {1000 * frames / RATE:.1f} ms"
    runs = "machine code, where it offers a step and its parameters rest, else Python" if info.native else "Python"
    yield f"    a block is run by: {runs}"
    yield f"    latency with its defaults at {RATE} Hz: {latency_text}"
    yield "parameters"
    for param in info.params:
        yield f"    {param.name}: {describe_param(param)}"
    if not info.params:
        yield "    none of its own"
    yield "and those of every node"
    for param in HOST_PARAMS:
        yield f"    {param.name}: {describe_param(param)}"
    yield "on files"
    kind, values = info.written({param.name: info.needed_value(param) for param in info.needed()})
    yield f"    antiphon run {kind} {operands(info)}{''.join(f' -p {name}={value}' for name, value in values.items())}"
    yield "in a patch"
    yield f"    [nodes.{kind}]"
    if info.variant[1]:
        yield f'    {info.varied_by} = "{info.variant[1]}"'
    where = page(info)
    if where is not None:
        yield "its page"
        yield f"    {where}"


def plain(info: ProcessorInfo, loaded: Loaded) -> dict[str, Any]:
    """A type's description as JSON data. latency: frames, null where it cannot be prepared."""
    catalog = Catalog({info.type: info}).to_json()["types"][0]
    frames, problem = latency(info, loaded)
    return {**catalog, "latency": None if problem else frames, "rate": RATE, "block": BLOCK}


def ports(info: ProcessorInfo) -> str:
    """ "in: in (audio); out: out (audio)" """
    named = [", ".join(f"{p.name} ({p.kind})" for p in side) or "none" for side in (info.inputs, info.outputs)]
    return f"in: {named[0]}; out: {named[1]}"


def operands(info: ProcessorInfo) -> str:
    """Operands of `antiphon run` after the name: IN.wav OUT.wav, or notes on a side without sound."""
    if info.on_files.splits:
        return "IN OUT, or IN --out-dir FOLDER"
    if info.on_files.job:
        return "[IN] OUT" if info.on_files.default_source else "IN OUT"
    source = "IN.mid" if info.first("events", "in") and not info.first("audio", "in") else "IN.wav"
    return f"{source} {'OUT.wav' if info.first('audio', 'out') else 'OUT.mid'}"


def latency(info: ProcessorInfo, loaded: Loaded) -> tuple[int, str]:
    """(frames, "") at default parameters, or (0, reason) if it cannot be prepared."""
    from antiphon.kernel.contract.block import StreamSpec
    from antiphon.kernel.contract.harness import prepare
    from antiphon.kernel.workers.devices import without_workers

    try:
        processor = loaded.make(info.type)
        spec = StreamSpec(processor.rate or RATE, processor.block or BLOCK, processor.channels or 2)
        with without_workers():  # no worker is started to show a page
            prepare(processor, spec, {})
    except Exception as error:  # the plugin's code may raise anything; the error is shown
        return 0, reason_of(error)
    return round(processor.latency * RATE / spec.rate), ""


def page(info: ProcessorInfo) -> Path | None:
    """The plugin's README, where it has one."""
    import sys

    module = sys.modules.get(info.plugin)
    file = Path(module.__file__).with_name("README.md") if module is not None and module.__file__ else None
    return file if file is not None and file.is_file() else None


def describe_param(param: Param) -> str:
    """ "0 to 2, default 1. Factor: 1 changes nothing." """
    if param.readonly:
        values = f"reported, {param.allowed}"
    elif param.kind == "trigger":
        values = "trigger"
    else:
        default = param.default
        shown = ("on" if default else "off") if param.kind == "switch" else default
        values = (
            f"{param.allowed}, default {f'{shown:g}' if isinstance(shown, float) else shown if shown != '' else 'none'}"
        )
    return f"{values}. {param.doc}".rstrip()
