"""The hooks a plugin may implement. None of them is called on the block path.

`docs/hooks.md` documents each with exactly these signatures; a test checks this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import click

    from antiphon.kernel.contract.addresses import AddressList

PROJECT = "antiphon"
_F = TypeVar("_F", bound=Callable[..., Any])


def hookimpl(function: _F, *, specname: str | None = None) -> _F:
    """The decorator of a plugin's hooks. It marks a function of the plugin's `__init__.py` whose name is a hook's.

    `specname`: the hook's name, where the function has another.
    """
    # pluggy's own mark, without its import: what only makes a processor calls no hook
    plain = dict.fromkeys(("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast"), False)
    vars(function)[f"{PROJECT}_impl"] = {**plain, "specname": specname}
    return function


def hookspec(function: _F) -> _F:
    """Marks the specification of a hook."""
    none = {"warn_on_impl": None, "warn_on_impl_args": None}
    vars(function)[f"{PROJECT}_spec"] = {"firstresult": False, "historic": False, **none}
    return function


class Register(Protocol):
    """The function that a hook is given to register things by name: `register(name, factory, doc="")`.

    `name` is the name that performers write: letters, digits, `_` and `-`, a letter first. `factory` is a callable
    without arguments, or `"module:Name"`, which is imported only when it is used. `doc` is one sentence for people.
    """

    def __call__(self, name: str, factory: str | Callable[[], Any], doc: str = "") -> None:
        """Registers one thing, under the name that performers write: letters, digits, `_` and `-`, a letter first.

        `factory`: a callable without arguments, or "module:Name", which is imported only when it is used.
        """


@hookspec
def antiphon_processors(register: Register) -> None:
    """Registers processors: factories of `antiphon.api.Processor`."""


@hookspec
def antiphon_synths(register: Register) -> None:
    """Registers synth backends."""


@hookspec
def antiphon_models(register: Register) -> None:
    """Registers streaming models."""


@hookspec
def antiphon_trainings(register: Register) -> None:
    """Registers trainings: factories of `antiphon_models.learning.recipe.Recipe`."""


@hookspec
def antiphon_evaluations(register: Register) -> None:
    """Registers evaluations: factories of `antiphon_models.learning.evaluation.Evaluation`."""


@hookspec
def antiphon_benches(register: Register) -> None:
    """Registers benches: factories of `antiphon_bench.entry.Bench`."""


@hookspec
def antiphon_analyses(register: Register) -> None:
    """Registers analyses of sound: factories of `antiphon.api.backends.analysis.Analysis`."""


@hookspec
def antiphon_services(register: Register) -> None:
    """Registers services, which other plugins get by `antiphon.api.backends.analysis.service(name)`."""


@hookspec
def antiphon_transports(register: Register) -> None:
    """Registers transports: factories of `antiphon.kernel.session.transport.Transport`."""


@hookspec
def antiphon_addresses(osc: AddressList) -> None:
    """Adds OSC addresses: `osc.add(path, args, handler, doc)`."""


@hookspec
def antiphon_operations(operations: Any) -> None:
    """Adds operations, each of which is a command, a route, an address, a tool and a call: `operations.add(…)`."""


@hookspec
def antiphon_commands(cli: click.Group) -> None:
    """Adds commands to the `antiphon` command line."""


@hookspec
def antiphon_routes(http: Any) -> None:
    """Adds HTTP routes, in the web process: `http.add(method, path, handler)`; `http.control` asks control."""


@hookspec
def antiphon_startup(app: Any) -> Awaitable[None] | None:
    """Called before the server answers requests. May be async; awaited."""


@hookspec
def antiphon_shutdown(app: Any) -> Awaitable[None] | None:
    """Called before the server ends. May be async; awaited."""


@hookspec
def antiphon_event(app: Any, event: dict[str, Any]) -> None:
    """Called with an event of the server: {"kind": "patch" | "node" | "late" | "engine" | "plugin", …}."""
