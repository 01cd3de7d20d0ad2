"""`antiphon surfaces`, `approve` and `forget`: lists and changes which addresses may send OSC under `--lan`."""

import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from antiphon.cli import ports
from antiphon.cli.option_records import Json
from antiphon.cli.terminal.progress import echo_answer
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.shortening import printable
from antiphon.web.access import plain_ip

Machine = Annotated[str, argument("The surface's IP address, or its host name.", "NAME|ADDRESS")]


def surfaces(http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None, as_json: Json = False) -> None:
    """List the phones and controllers that wait for approval, and those that have it."""
    from antiphon.cli.running.running_server import ask

    answer = ask("GET", "/api/surfaces", paths.config(), ports.http_port(http_port, osc_port))
    echo_answer(as_json, answer, listing(answer))


def approve(machine: Machine, http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None) -> None:
    """Let a phone or controller play the server, for twelve hours."""
    typer.echo(change("approve", machine, paths.config(), ports.http_port(http_port, osc_port)))


def forget(machine: Machine, http_port: ports.Http = None, osc_port: ports.InsteadOfHttp = None) -> None:
    """Take an approval back: that phone or controller plays no more, and is sent nothing."""
    typer.echo(change("forget", machine, paths.config(), ports.http_port(http_port, osc_port)))


def change(word: str, machine: str, folder: Path, port: int) -> str:
    """Has the running server `approve` or `forget` an address; returns the action, and the address as stored."""
    from antiphon.cli.running.running_server import ask

    answer = ask("POST", f"/api/surfaces/{word}", folder, port, {"ip": address_of(machine)})
    done = "approved" if word == "approve" else "forgot"
    return printable(f"{done} {answer[done]}")


def address_of(machine: str) -> str:
    """IP address of a machine, given as such or by its host name; `UsageError` for any other text."""
    try:
        return plain_ip(machine)
    except ValueError:
        pass
    try:
        return plain_ip(socket.gethostbyname(machine))
    except (OSError, ValueError):
        raise UsageError(
            f"{machine!r} is not an IP address, and no machine of this network has that name; `antiphon surfaces` "
            "lists the addresses that are not approved yet"
        ) from None


def listing(answer: dict[str, Any]) -> list[str]:
    """Lines to print: "held 192.168.1.7", "approved 192.168.1.9"."""
    lines = [f"held {ip}" for ip in answer["held"]] + [f"approved {ip}" for ip in answer["approved"]]
    return [printable(line) for line in lines] or ["no surface has sent anything yet"]
