"""`antiphon live` performs a live script beside a server, reloaded as it is saved; `antiphon eval` hands it one."""

import os
import sys
from contextlib import suppress
from typing import Annotated

import click

from antiphon.cli import ports
from antiphon.cli.errors import complain_of_script
from antiphon.cli.running.osc import Timeout
from antiphon.client import LOCAL
from antiphon.client.asking import refusal
from antiphon.client.connection import OscConnection
from antiphon.client.finding import osc_port as port_of, running_servers
from antiphon.files.owner_token import find_token
from antiphon.kernel.errors import EngineError, UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.paths import os_error_text
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.wire.osc import encode
from antiphon.operations.wording import option_words
from antiphon.web.messages import MAX_QUANTUM

OPTIONS = ("osc_port", "http_port", "audio", "input", "output", "record", "block", "ahead")
"""Options of `serve` that `live` takes, for a server that it starts."""


def live(
    script: Annotated[str, argument("A live script.", "SET.py")],
    *,
    quantum: Annotated[
        float,
        argument(
            "A saved script begins at multiples of this; 0 for its bars.",
            "BEATS",
            low=0,
            high=MAX_QUANTUM,
            unit="beats",
        ),
    ] = 1.0,
    from_top: Annotated[bool, argument("A saved script begins at its first bar, on a bar of the server.")] = False,
    patch: Annotated[str, argument("Play this patch, not the one that the script names.", names="patches")] = "",
    server: Annotated[ServeSettings, OPTIONS],
    midi: Annotated[bool, argument("A server started here listens to MIDI ports.")] = False,
) -> None:
    """Perform a live script: on the server at --osc-port, or on a new one. Ctrl-C ends its notes, then it.

    Each time the file is saved, it takes over on the next beat, at the position of the one before, or by --quantum and
    --from-top. One with an error changes nothing: the last valid one plays on.

    --audio, --input, --output, --record, --block, --ahead and --midi apply to a new server.
    """
    from antiphon.performer.performing import Performing, ended_by_signals
    from antiphon.performer.scripts import Begin

    given = {**{name: getattr(server, name) for name in OPTIONS}, "midi": midi}
    options = [word for name, value in given.items() for word in option_words(name, value)]
    begin = Begin(quantum, from_top)
    shown = _with_page if server.audio in ("auto", "headless") else show
    performing = Performing(script, shown, osc_port=server.osc_port, patch=patch, begin=begin, serve=options)
    ended_by_signals(performing)
    performing.run()


def _with_page(sentence: str, picture: str = "", *, fault: bool = False) -> None:
    """Prints like `show`; once a server without a sound card is ready, also the address at which to listen."""
    show(sentence, picture, fault=fault)
    if not (sentence.startswith("ready ") and " headless " in sentence):
        return
    from antiphon.web.page.files import page_address

    for found in running_servers():
        if f"http://127.0.0.1:{found.settings.http_port}" in sentence.split() and found.settings.local:
            show(f"page {page_address(found.folder, found.settings.http_port)}: it works once; press Listen there")


def show(sentence: str, picture: str = "", *, fault: bool = False) -> None:
    """Prints a sentence. A fault goes to standard error, with its source excerpt below."""
    if fault:
        complain_of_script(sentence, picture)
    else:
        click.echo(sentence)
        sys.stdout.flush()


# ---- `antiphon eval FILE`: hands a live script to `antiphon live`, without the token on the command line


def evaluate(
    script: Annotated[str, argument("A live script; - reads standard input.", "FILE")],
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
    timeout: Timeout = 5.0,
) -> None:
    """Hand a live script to the `antiphon live` that plays at a server, which performs it at once.

    Both run already: a server with --live, as `antiphon play` has it, then `antiphon live SET.py`. FILE takes over like
    a saved SET.py: on the next beat, or by its --quantum. Your token is proved without sending it.
    """
    performers = hand_over(_read(script), port_of(osc_port, http_port), timeout)
    if not performers:
        name = "SET.py" if script == "-" else script
        raise EngineError(
            f"no `antiphon live` of yours plays at this server, to perform it; start one: antiphon live {name}"
        )
    click.echo(f"handed to {performers} `antiphon live`")


def hand_over(text: str, port: int, timeout: float) -> int:
    """Sends a script to this machine's server; returns how many programs perform it. `timeout` is in seconds.

    Raises UsageError: this user has no token. Raises WireError: the server refuses; with its reason. Raises
    EngineError: no server answers, or it does not have this user's token.
    """
    from antiphon.files.owner_token import TokenProof, nonce

    token, asked = "", nonce()
    with suppress(OSError):
        token = find_token(paths.config())
    if not token:
        raise UsageError("you have no token here; `antiphon serve --live` makes one, in the same ANTIPHON_HOME")
    with OscConnection(LOCAL, port, tcp=True) as server:
        server.send(encode("/live/join", asked))
        for message in server.messages_within(timeout):
            match message.address, message.args:
                case b"/live/challenge", (str(given), proof):
                    found = TokenProof(token, port, asked, given)
                    if not found.check(proof, "server"):
                        raise EngineError(f"the server on OSC port {port} does not have your token; nothing was sent")
                    server.send(encode("/live/eval", found.make("hand over", text), text))
                case b"/done", ("/live/eval", int(count)):
                    return count
                case b"/fail", _:
                    raise refusal(message)
    raise EngineError(f"nothing answers on OSC port {port}; start `antiphon serve --live`, or name its --port")


def _read(path: str) -> str:
    """Text of a script; `UsageError` if it is missing or too long to be sent."""
    from antiphon.performer.script_gate import MAX_SCRIPT

    try:
        with sys.stdin.buffer if path == "-" else open(path, "rb") as file:
            content = file.read(4 * MAX_SCRIPT + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {os.path.basename(path)}: {os_error_text(error)}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{os.path.basename(path)} is not UTF-8 text") from None
    if len(text) > MAX_SCRIPT:
        raise UsageError(f"a script that is handed over has at most {MAX_SCRIPT:,} characters; save it instead")
    return text
