"""`antiphon bench`. The benches come with a clone or antiphon-lab, but not with antiphon alone."""

from importlib import import_module
from typing import Annotated

from antiphon.cli.command import CommandGroup
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.importing import add_checkout_plugins

COMMAND = "antiphon_bench.command"


def register(app: CommandGroup) -> None:
    """Adds the command of `antiphon_bench`, or a command that says where to get the benches."""
    add_checkout_plugins()
    try:
        found = import_module(COMMAND)
    except ModuleNotFoundError:
        app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(bench)
    else:
        app.command(cls=found.BenchCommand)(found.bench)


def bench(
    name: Annotated[str, argument("With antiphon-lab `antiphon bench --help` lists them.", placed=True)] = "",
) -> None:
    """Measure: by the benches of antiphon-lab."""
    raise UsageError(
        f"the bench {name or 'NAME'} comes with antiphon-lab: pip install antiphon-lab, or in a clone of Antiphon's "
        f"repository make bench NAME={name or 'engine'}"
    )
