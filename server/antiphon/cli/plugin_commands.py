"""The group of all commands: Antiphon's own, and those that plugins add by `antiphon_commands`.

Plugins that implement `antiphon_commands` are imported only for a command that is not Antiphon's own, and for the list
of all commands.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from click.exceptions import Exit

from antiphon.cli.command import CommandGroup, epilog
from antiphon.kernel.runtime.extras import advice
from antiphon.kernel.runtime.importing import reason_of

if TYPE_CHECKING:
    from antiphon.operations.shared import SharedOperation

HOOK = "antiphon_commands"


class MainGroup(CommandGroup):
    """Loads plugins' commands once, only where Antiphon's own do not suffice."""

    asked = False
    complete = True

    def get_help(self, ctx: Any) -> str:
        """The page of all commands, which is cached if no plugin failed."""
        page: str = super().get_help(ctx)
        if ctx.parent is None and self.complete:
            from antiphon.cli import help_page

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


def command_group(
    name: str, sentence: str, function: Callable[..., None] = lambda: None, cls: type[CommandGroup] = CommandGroup
) -> CommandGroup:
    """An empty group of commands; `function` has the options before a command's name."""
    return cls(name, sentence, function)


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
        app = CommandGroup(None)
        try:
            dispatcher.add(source.name, source.importing())
            operations, more = added_operations(dispatcher, source.name)
            failures = (*dispatcher.call(HOOK, only=source.name, cli=app), *more)
            add_operations(app, operations)
            reasons += [f"plugin {failure.name}: {failure.reason}" for failure in failures]
            for command in app.commands.values():
                getattr(command, "params", ())  # a fault in a declaration is the plugin's
        except (Exception, SystemExit) as error:
            reasons.append(f"plugin {source.name}: {HOOK}: {reason_of(error)}")
            continue
        added += [(source.name, name, command) for name, command in app.commands.items()]
    return added, reasons


def add_operations(app: CommandGroup, operations: Iterable[SharedOperation]) -> None:
    """Adds a command for each operation of a plugin, in the group of that name."""
    for one in operations:
        first, _, second = one.name.partition(" ")
        if first not in app.commands:
            app.add_command(command_group(first, one.group or f"What the plugin {first} can be asked."))
        group: Any = app.commands[first]
        group.command(second, epilog=epilog(*one.examples) if one.examples else None)(build_operation_command(one))


def build_operation_command(operation: SharedOperation) -> Callable[..., None]:
    """Returns the command of an operation. Its exit code is 1 if a part of the request was not done."""
    from antiphon.cli.command import Json
    from antiphon.cli.errors import complain, termination_signals
    from antiphon.cli.progress import echo_answer, progress_bar
    from antiphon.operations.shared import OperationCaller, plain

    def command(asked: Any, as_json: bool = False) -> None:
        asker = OperationCaller(progress=progress_bar, options=True)
        with termination_signals(operation.kept) if operation.kept else contextlib.nullcontext():
            found = operation.answer(asked, asker)
            for answer in found if isinstance(found, Iterator) else (found,):
                echo_answer(as_json, plain(answer) if as_json else None, operation.answer_lines(answer))
        for sentence in asker.complaints:
            complain(sentence)
        if asker.failed:
            raise Exit(1)

    command.__doc__ = operation.asked.__doc__
    command.__annotations__ = {"asked": operation.asked, "as_json": Json}
    return command
