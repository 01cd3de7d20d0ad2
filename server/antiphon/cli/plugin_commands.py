"""The group of all commands: Antiphon's own, and those that plugins add by `antiphon_commands`.

Plugins that implement `antiphon_commands` are imported only for a command that is not Antiphon's own, and for the list
of all commands.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from antiphon.cli import help_page
from antiphon.cli.option_records import by_records
from antiphon.kernel.runtime.arguments import Argument
from antiphon.kernel.runtime.extras import advice
from antiphon.kernel.runtime.importing import reason_of

if TYPE_CHECKING:
    from antiphon.operations.shared import SharedOperation

HOOK = "antiphon_commands"


class CommandGroup(TyperGroup):
    """Loads plugins' commands once, only where Antiphon's own do not suffice."""

    asked = False
    complete = True

    def get_help(self, ctx: Any) -> str:
        """The page of all commands, which is cached if no plugin failed."""
        page: str = super().get_help(ctx)
        if ctx.parent is None and self.complete:
            help_page.keep(page)
        return page

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands, plugins' after Antiphon's own."""
        self._ask(ctx)
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in self.commands:
            self._ask(ctx)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds the command; refuses an option that was given another option as its value."""
        if self.get_command(ctx, args[0]) is None and (lacking := advice("command", args[0])):
            ctx.fail(lacking)
        name, command, rest = super().resolve_command(ctx, args)
        inner = getattr(command, "commands", {})
        params = [
            *getattr(command, "params", ()),
            *(param for word in rest if word in inner for param in inner[word].params),
        ]
        taking = {name for param in params if not getattr(param, "is_flag", True) for name in param.opts}
        for option, value in pairwise(rest[: rest.index("--")] if "--" in rest else rest):
            if option in taking and option.startswith("--") and value.startswith("--") and not ctx.resilient_parsing:
                ctx.fail(f"{option} takes a value, and {value} is an option; a value of that name is {option}={value}")
        return name, command, rest

    def _ask(self, ctx: Any) -> None:
        if self.asked:
            return
        self.asked = True
        own = frozenset(self.commands)
        # a plugin's output during its import is not part of a command's output
        with contextlib.redirect_stdout(sys.stderr):
            added, reasons = plugin_commands()
        for plugin, name, command in added:
            if name in self.commands:
                whose = "Antiphon's own" if name in own else "another plugin's"
                reasons.append(f"plugin {plugin}: {HOOK}: the command {name!r} is {whose}; choose another name")
            else:
                self.commands[name] = command
        self.complete = not reasons
        if not ctx.resilient_parsing:  # during shell completion nothing may be printed
            from antiphon.cli.errors import complain

            for reason in reasons:
                complain(reason)


def command_group(name: str, sentence: str, callback: Callable[..., None] = lambda: None) -> typer.Typer:
    """An empty group of commands; `callback` has the options before a command's name."""
    app = typer.Typer(
        name=name,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=sentence,
        short_help=sentence,
    )
    app.callback()(callback)
    return app


def epilog(*lines: str) -> str:
    """The epilogue of a command's help: its examples."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def complete(app: typer.Typer) -> None:
    """Gives each command its declared arguments, and the first paragraph of its docstring as short help.

    The library would shorten that paragraph. A command with a short help of its own, or no docstring, stays unchanged.
    """
    for group in app.registered_groups:
        if (inner := group.typer_instance) is not None:
            complete(inner)
            if inner.registered_callback is not None and inner.registered_callback.callback is not None:
                inner.registered_callback.callback = by_records(inner.registered_callback.callback)
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = by_records(command.callback)
            declared: dict[str, Argument] = getattr(command.callback, "declared", {})
            if any(one.said("placed") and one.element is not str for one in declared.values()):
                command.context_settings = {"ignore_unknown_options": True}  # -6 is a number
        doc = inspect.getdoc(command.callback) if command.callback is not None else None
        if doc and command.short_help is None:
            command.short_help = " ".join(doc.partition("\n\n")[0].split())


def plugin_commands() -> tuple[list[tuple[str, str, Any]], list[str]]:
    """(plugin, name, command) of all plugin commands, and a sentence for each plugin that failed."""
    from antiphon.kernel.plugins.hook_lists import hook_lists

    known = hook_lists()
    reasons = [f"plugin {plugin}: {reason}" for plugin, reason in known.failures.items()]
    wanted = known.plugins_with_hook(HOOK) | known.plugins_with_hook("antiphon_operations")
    if not wanted:
        return [], reasons
    from antiphon.kernel.plugins.dispatcher import HookDispatcher
    from antiphon.kernel.plugins.finding import sources
    from antiphon.operations.shared import added_operations

    dispatcher, added = HookDispatcher(), []
    for source in sources():
        if source.name not in wanted or source.problem:
            continue
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        try:
            dispatcher.add(source.name, source.importing())
            operations, more = added_operations(dispatcher, source.name)
            failures = (*dispatcher.call(HOOK, only=source.name, cli=app), *more)
            add_operations(app, operations)
            reasons += [f"plugin {failure.name}: {failure.reason}" for failure in failures]
            if app.registered_callback is not None:
                reasons.append(f"plugin {source.name}: {HOOK}: it declares options of all commands; left out")
            complete(app)
            commands = typer.main.get_group(app).commands
        except (Exception, SystemExit) as error:
            reasons.append(f"plugin {source.name}: {HOOK}: {reason_of(error)}")
            continue
        added += [(source.name, name, command) for name, command in commands.items()]
    return added, reasons


def add_operations(app: typer.Typer, operations: Iterable[SharedOperation]) -> None:
    """Adds a command for each operation of a plugin, in the group of that name."""
    inner = [group.typer_instance for group in app.registered_groups]
    groups: dict[str, Any] = {str(group.info.name): group for group in inner if group is not None}
    for one in operations:
        first, _, second = one.name.partition(" ")
        if first not in groups:
            groups[first] = command_group(first, one.group or f"What the plugin {first} can be asked.")
            app.add_typer(groups[first])
        groups[first].command(second, epilog=epilog(*one.examples) if one.examples else None)(
            build_operation_command(one)
        )


def build_operation_command(operation: SharedOperation) -> Callable[..., None]:
    """Returns the command of an operation. Its exit code is 1 if a part of the request was not done."""
    from antiphon.cli.errors import complain, termination_signals
    from antiphon.cli.option_records import Json
    from antiphon.cli.progress import echo_answer, progress_bar
    from antiphon.operations.shared import OperationCaller, plain

    def command(asked: Any, as_json: bool = False) -> None:
        asker = OperationCaller(progress=progress_bar, options=True)
        with termination_signals(operation.kept) if operation.kept else contextlib.nullcontext():
            found = operation.answer(asked, asker)
            for answer in found if isinstance(found, Iterator) else (found,):
                echo_answer(as_json, plain(answer) if as_json else None, operation.shown(answer))
        for sentence in asker.complaints:
            complain(sentence)
        if asker.failed:
            raise typer.Exit(1)

    command.__doc__ = operation.asked.__doc__
    command.__annotations__ = {"asked": operation.asked, "as_json": Json}
    return command
