"""`antiphon run`: applies one plugin to files of sound or notes; `run PLUGIN --help` has that plugin's parameters."""

from copy import copy
from typing import Any

from click.exceptions import Exit

from antiphon.cli.command import Command
from antiphon.cli.files.direct import process
from antiphon.kernel.contract.params import HOST_PARAMS
from antiphon.operations.requests import RUN_OPTIONS, RunRequest, applies

PLUGIN = "antiphon.run.plugin"
"""Key of the plugin's name in the context's `meta`."""
_TRIGGER = "the seconds at which it fires."


def run(asked: RunRequest) -> None:
    """Process files by a plugin: same rate, channels and length unless it says otherwise, its latency removed.

    -p learn=0.5 on a trigger fires it at 0.5 s. A parameter of kind file takes any path. A plugin that takes notes
    reads a MIDI file, one that outputs notes writes one. Echoes go on after the end of IN until they fade. - is
    standard input or output: a wav, or --raw; input that the plugin need not know in advance is processed as it
    arrives. A video keeps its picture.
    """
    if code := process(asked):
        raise Exit(code)


class RunCommand(Command):
    """The command `run`, whose help shows the named plugin's parameters."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Stores the plugin given with `--help`, since the library prints the help before it parses the arguments."""
        if not ctx.resilient_parsing and "--help" in args:
            rest = [word for word in args if word != "--help"]
            with self.make_context(ctx.info_name, rest, parent=ctx.parent, resilient_parsing=True) as tried:
                ctx.meta[PLUGIN] = tried.params.get("plugin")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        name = ctx.meta.get(PLUGIN)
        if not name:
            super().format_help(ctx, formatter)
            return
        from antiphon.cli.plugins import describe_param, operands, ports
        from antiphon.kernel.graph.graph import known_type
        from antiphon.kernel.plugins.loader import load

        loaded = load(check=False)
        info = known_type(name, loaded.catalog)
        formatter.write_usage(ctx.command_path, f"{name} [OPTIONS] {operands(info)}")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(info.doc or f"The processor {name}.")
            formatter.write_text(ports(info))
        use = info.on_files
        idle = {p.name for p in info.params if p.kind == "trigger" and use.job and p.name not in use.fires}
        settable = [p for p in (*info.params, *HOST_PARAMS) if not p.readonly and p.name not in idle]
        with formatter.section("Parameters, each as -p NAME=VALUE"):
            formatter.write_dl(
                [
                    (
                        param.name,
                        describe_param(param) if param.kind != "trigger" else f"{_TRIGGER} {param.doc}".rstrip(),
                    )
                    for param in settable
                ]
            )
        page = copy(self)
        page.params = [p for p in self.params if p.name not in RUN_OPTIONS or applies(RUN_OPTIONS[p.name], info)]
        page.format_arguments(ctx, formatter)
        page.format_options(ctx, formatter)
