"""Commands from declarations (`antiphon.kernel.runtime.arguments`): a command is a function with declared arguments.

They are the declarations of its parameters and of the records that it takes: a request of
`antiphon.operations.requests`, `ServeSettings`, a dataclass. Annotated[RECORD, (NAME, …)] takes only the named ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import click
from msgspec import NODEFAULT, Meta

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import Argument, argument, arguments, declared_argument

Json = Annotated[bool, argument("One JSON object instead of words.", flags="--json")]
"""Annotation of the option `--json` of a command."""
F = TypeVar("F", bound=Callable[..., Any])


class Taken(NamedTuple):
    """What a parameter of a function takes of a command line: arguments, of which `make` makes its value."""

    name: str
    arguments: Sequence[Argument]
    make: Callable[[Mapping[str, Any]], Any]
    checks: bool = False  # whether their ranges are checked here; an operation checks its own request


def parameters(function: Callable[..., Any]) -> Iterator[Taken]:
    """Yields what each parameter of a function takes."""
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        name, hint = parameter.name, hints.get(parameter.name, str)
        if hint is click.Context:
            yield Taken(name, (), lambda _: click.get_current_context())
            continue
        kind, only = hint, ()
        if get_origin(hint) is Annotated and isinstance(hint.__metadata__[0], tuple):
            kind, only = hint.__origin__, hint.__metadata__[0]
        checks = hasattr(kind, "__dataclass_fields__")
        if checks or hasattr(kind, "__struct_fields__"):
            own = [one for one in _every(kind) if not only or one.name in only]
            own.sort(key=lambda one, only=only: only.index(one.name) if only else 0)  # type: ignore[misc]
            yield Taken(name, own, lambda given, kind=kind, only=only: request(kind, only, given), checks)  # type: ignore[misc]
            continue
        default = NODEFAULT if parameter.default is parameter.empty else parameter.default
        one = declared_argument(name, hint, default) or Argument(name, hint, default, Meta())
        yield Taken(name, [one], lambda given, one=one: value_of(one, given), True)  # type: ignore[misc]


def _every(kind: Any) -> Iterator[Argument]:
    """Yields the arguments of a record, and of the records in it, in order."""
    own = {one.name: one for one in arguments(kind)}
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "__struct_fields__"):
            yield from _every(hint)
        elif name in own:
            yield own[name]


def request(kind: Any, only: tuple[str, ...], given: Mapping[str, Any]) -> Any:
    """Makes a record of given values. `only`: names of values to take; () for all."""
    own = {one.name: one for one in arguments(kind)}
    values = {}
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "__struct_fields__"):
            values[name] = request(hint, only, given)
        elif name in given and (not only or name in only):
            values[name] = value_of(own[name], given)
    return kind(**values)


def value_of(one: Argument, given: Mapping[str, Any]) -> Any:
    """An argument's value of given ones: a tuple or a list for one that is repeated."""
    value = given.get(one.name, one.default)
    if not one.repeated:
        return value
    several = tuple(value or ())
    return several if one.in_tuple else list(several) or (None if one.default is NODEFAULT else one.default)


class Value(click.ParamType[Any]):
    """Makes a text, number or path of a word."""

    def __init__(self, one: Argument) -> None:
        kinds = (one.kind, *get_args(one.kind))
        # what may be a number elsewhere is a text here
        kind = one.element if one.repeated else next((k for k in (str, Path, int, float) if k in kinds), str)
        self.kind, self.name, self._argument = kind, kind.__name__.lower(), one

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Converts a word. Raises UsageError: it is not a number."""
        try:
            return self.kind(value)
        except ValueError:
            takes = self._argument.range or ("a whole number" if self.kind is int else "a number")
            raise UsageError(f"{max(param.opts, key=len)} takes {takes}, not {value!r}") from None


class PlacedArgument(click.Argument):
    """An argument without a name on the command line."""

    def make_metavar(self, ctx: click.Context | None = None) -> str:
        """Its name in help and errors."""
        return self.metavar or f"{self.name}{'...' if self.nargs != 1 else ''}"

    @property
    def human_readable_name(self) -> str:
        """Its name in errors."""
        return self.metavar or str(self.name)

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Its place in the line `Usage`."""
        name = self.make_metavar(ctx)
        if name.startswith("["):
            return [name]
        if not self.required:
            return [f"[{self.metavar or self.name}]{'' if self.metavar or self.nargs == 1 else '...'}"]
        return [f"{{{name}}}"]


def build_parameter(one: Argument) -> click.Parameter:
    """Makes the command-line library's parameter for an argument."""
    required, kind = one.default is NODEFAULT, Value(one)
    default = None if required or one.repeated else one.default
    shown = default is not None and default != "" and not isinstance(default, bool)
    text = f"{one.meta.description or ''}{one.range_shown}"
    more: dict[str, Any] = {"envvar": one.extra("envvar") or None} | ({} if required else {"default": default})
    if one.extra("names") or one.extra("choices"):
        more["shell_complete"] = partial(_complete, one)
    if required or one.extra("placed"):
        more |= {"required": required, "nargs": -1 if one.repeated else 1, "metavar": one.extra("shown"), "type": kind}
        note = "  [required]" if required else f"  [default: {default}]" if shown else ""
        return PlacedArgument([one.name], help=f"{text}{note}", **more)
    if one.kind is bool or bool in get_args(one.kind):
        more["is_flag"] = True
    else:
        more |= {"type": kind, "multiple": one.repeated, "metavar": one.extra("shown") or f"<{kind.name}>"}
    return click.Option([one.name, *one.flags], help=text, show_envvar=True, show_default=shown, **more)


def _complete(one: Argument, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from antiphon.cli import completion

    return completion.completion_of(one.extra("names"), one.extra("choices"))(ctx, incomplete)


class Command(click.Command):
    """A command that calls a function, whose docstring is its help and its first paragraph its line in lists."""

    def __init__(
        self, name: str | None, function: Callable[..., Any], *, first: Sequence[click.Parameter] = (), **settings: Any
    ) -> None:
        doc = inspect.getdoc(function) or ""
        settings = {"help": doc, "short_help": " ".join(doc.partition("\n\n")[0].split()), **settings}
        super().__init__(name, callback=function, **settings)
        del self.params  # they are made when they are needed: a list of commands needs none
        self._function, self._first = function, first

    @cached_property
    def parameters(self) -> list[Taken]:
        """What its function takes."""
        return list(parameters(self._function))

    @cached_property
    def params(self) -> list[click.Parameter]:  # type: ignore[override]
        """Its arguments and options."""
        return [*self._first, *(build_parameter(one) for taken in self.parameters for one in taken.arguments)]

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> click.Context:
        """The context of a command line; a number is no option where an argument without a name takes numbers."""
        if any(
            isinstance(one, PlacedArgument) and getattr(one.type, "kind", str) in (int, float) for one in self.params
        ):
            self.ignore_unknown_options = True
        return super().make_context(info_name, args, parent, **extra)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the arguments without names into the help."""
        if placed := [one.get_help_record(ctx) for one in self.params if isinstance(one, PlacedArgument)]:
            with formatter.section("Arguments"):
                formatter.write_dl(placed)

    def invoke(self, ctx: click.Context) -> Any:
        """Calls its function with what the line has."""
        return self.call(**ctx.params)

    def call(self, **given: Any) -> Any:
        """Calls its function with values of its arguments. Raises UsageError: one is outside its range or choices."""
        for taken in self.parameters:
            for one in taken.arguments if taken.checks else ():
                one.check(given.get(one.name, one.default))
        return self._function(**{taken.name: taken.make(given) for taken in self.parameters})


class CommandGroup(click.Group, Command):
    """A group of commands; `function` takes its own options."""

    def __init__(
        self, name: str | None, sentence: str = "", function: Callable[..., Any] = lambda: None, **settings: Any
    ) -> None:
        settings = {"no_args_is_help": True, "help": sentence, "short_help": sentence, **settings}
        super().__init__(name, function=function, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of its commands, in the order in which they were added."""
        return list(self.commands)

    def command(self, name: Any = None, *, cls: type[Command] = Command, **settings: Any) -> Any:
        """Decorator that adds a function as a command. `epilog`: text below its help."""

        def add(function: F) -> F:
            self.add_command(cls(name or function.__name__.replace("_", "-"), function, **settings))
            return function

        return add


def epilog(*lines: str) -> str:
    """The epilogue of a command's help: its examples."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
