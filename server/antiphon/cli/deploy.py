"""`antiphon deploy`: whether a server that others can reach does what it should."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.examples import command_group
from antiphon.cli.terminal.answers import Json
from antiphon.cli.terminal.style import Role, style_text

SENTENCE = "Check a server that runs elsewhere: in a container, behind a proxy, in a cloud."
WIDTH = 8
"""Characters of a check's state, at the beginning of its line."""
ROLES: dict[str, Role] = {"ok": "good", "failed": "bad", "skipped": "faint"}


def application() -> typer.Typer:
    """The group of commands."""
    app = command_group("deploy", SENTENCE)
    app.command("check")(check)
    return app


def check(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://HOST or http://HOST:PORT.")],
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="A file with the server's token; without it less is checked.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="The certificate of the server, where no authority signed it.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600.0, help="Seconds for each request.")] = 15.0,
    as_json: Json = False,
) -> None:
    """Try a running server: health, TLS, refusals, what is open, one job. Exit 1 if anything is not as it should be."""
    from antiphon.doctor.deployment import address, checking
    from antiphon.kernel.errors import UsageError
    from antiphon.kernel.runtime.token import TOKEN, read_secret

    server = address.parse_address(url)
    token = read_secret(token_file) if token_file is not None else ""
    if token_file is not None and not TOKEN.fullmatch(token):
        raise UsageError(f"{token_file} holds no token, which is 32 hexadecimal digits")
    client = checking.client_of(server, token, certificate, timeout)
    found = []
    for finding in checking.check_server(client, has_token=bool(token)):
        found.append(finding)
        if as_json:
            continue
        typer.echo(f"{style_text(f'{finding.state:<{WIDTH}}', ROLES[finding.state])} {finding.name}: {finding.text}")
        if finding.advice:
            typer.echo(f"{'':<{WIDTH}}   {finding.advice}")
    wrong = any(finding.state == "failed" for finding in found)
    if as_json:
        checks = [asdict(finding) for finding in found]
        typer.echo(json.dumps({"url": str(server), "ok": not wrong, "checks": checks}))
    if wrong:
        raise typer.Exit(1)
