"""`antiphon repl`: sends messages, typed line by line, to the running server."""

import click

from antiphon.cli import ports
from antiphon.client import finding
from antiphon.kernel.runtime import paths


def repl(osc_port: ports.Osc = None, http_port: ports.HttpBesideOsc = None) -> None:
    """Type messages to the running server: with completion, help, one line of status, history, and F12 for panic."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    from antiphon.cli.running.conversation import PROMPT, REFRESH_SECONDS, AddressCompleter, Repl, panic_key, run_repl

    # one of the two is enough for a server of one's own
    connected = Repl(finding.osc_port(osc_port, http_port), finding.http_port(http_port, osc_port))
    history = paths.make_folder(paths.data()) / "repl-history"
    session: PromptSession[str] = PromptSession(
        PROMPT,
        history=FileHistory(str(history)),
        completer=AddressCompleter(lambda: connected.declared),
        bottom_toolbar=connected.status_line,
        refresh_interval=REFRESH_SECONDS,
        key_bindings=panic_key(connected, click.echo),
    )
    with connected.follow():
        click.echo("help says what can be typed; Ctrl-D ends this, the server plays on")
        run_repl(connected, session, click.echo)
