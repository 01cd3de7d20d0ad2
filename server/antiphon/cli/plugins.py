"""Lines of processors for a terminal: the list with failed plugins and their reasons, or one in full."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import click

from antiphon.cli.progress import style_text
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import HOST_PARAMS, Param
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.paths import plugins as own_folder
from antiphon.offline.file_job import needed, needed_value
from antiphon.operations.lists import RATE, ShownPlugins


def plugins(found: ShownPlugins | str) -> Iterator[str]:
    """Lines of all processors, of one, or the given line."""
    if isinstance(found, str):
        yield found
    elif found.one is not None:
        yield from map(_style_line, card(found))
    else:
        yield from map(_style_line, listing(found.loaded.catalog))
        yield "antiphon plugins NAME shows one with its parameters"
        yield f"your own plugins go into {found.folder or own_folder()}"


def _style_line(line: str) -> str:
    """Styles a line that is not indented as a heading."""
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


def card(shown: ShownPlugins) -> Iterator[str]:
    """Lines of a type's description: ports, latency, parameters (its own and the host's), usage on files."""
    info = shown.one
    assert info is not None
    yield f"{info.type}  ({info.plugin})  {info.doc}".rstrip()
    yield f"    {ports(info)}"
    frames, problem = shown.latency
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
    kind, values = info.written({param.name: needed_value(param) for param in needed(info)})
    yield f"    antiphon run {kind} {operands(info)}{''.join(f' -p {name}={value}' for name, value in values.items())}"
    yield "in a patch"
    yield f"    [nodes.{kind}]"
    if info.variant[1]:
        yield f'    {info.variant_parameter} = "{info.variant[1]}"'
    where = page(info)
    if where is not None:
        yield "its page"
        yield f"    {where}"


def ports(info: ProcessorInfo) -> str:
    """ "in: in (audio); out: out (audio)" """
    named = [", ".join(f"{p.name} ({p.kind})" for p in side) or "none" for side in (info.inputs, info.outputs)]
    return f"in: {named[0]}; out: {named[1]}"


def operands(info: ProcessorInfo) -> str:
    """Operands of `antiphon run` after the name: IN.wav OUT.wav, or notes in place of a side without sound."""
    if info.on_files.splits:
        return "IN OUT, or IN --out-dir FOLDER"
    if info.on_files.job:
        return "[IN] OUT" if info.on_files.default_source else "IN OUT"
    source = "IN.mid" if info.first("events", "in") and not info.first("audio", "in") else "IN.wav"
    return f"{source} {'OUT.wav' if info.first('audio', 'out') else 'OUT.mid'}"


def page(info: ProcessorInfo) -> Path | None:
    """Path of the plugin's README; None without one."""
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


# ---- `antiphon new-plugin`


def new_plugin(
    name: Annotated[str, argument("Small letters, digits and _.")],
    shape: Annotated[
        str, argument("sound-sound, sound-notes, notes-notes, library-sound or sound-reference.")
    ] = "sound-sound",
    folder: Annotated[Path | None, argument("Where to; else your own plugins' folder.", flags="--to")] = None,
) -> None:
    """Write a working plugin, with its test and card, as a template."""
    from antiphon.kernel.plugins.loader import load
    from antiphon.newplugin import SHAPES, write

    known = load(check=False)
    # a folder with the name of a type or of an installed package would not be loaded
    taken = {*known.catalog, *known.catalog.hooks}
    own = paths.make_folder(paths.plugins())
    place = write(name, shape, folder or own, taken)
    click.echo(f"{place} is written")
    if folder is None or folder.resolve() == own.resolve():
        click.echo(f"`antiphon plugins {name}` shows it, `antiphon run {name} {SHAPES[shape].files}` runs it on files")
    else:
        click.echo(f"`antiphon plugins {name} --plugins-dir {shlex.quote(str(folder))}` shows it")
        click.echo(f"it is loaded where it is in {own}, or installed with an entry point in the group antiphon")
