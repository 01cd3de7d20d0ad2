"""`antiphon eval FILE`: hands a live script to `antiphon live`, without the token on the command line."""

import os
import sys
import time
from contextlib import suppress
from typing import Annotated

import typer

from antiphon.cli import ports
from antiphon.cli.running.osc import Timeout, closing_socket, listen, refusal, send
from antiphon.files.owner_token import find_token
from antiphon.kernel.errors import EngineError, UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.paths import os_error_text
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import Message, encode

HOST = "127.0.0.1"


def evaluate(
    script: Annotated[str, argument("A live script; - reads standard input.", "FILE")],
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
    timeout: Timeout = 5.0,
) -> None:
    """Have a live script played at once, by a server that was started with --live.

    It takes over as a saved file does: on the next beat, or by --quantum of `antiphon live`. Your token is proved, and
    not sent.
    """
    performers = hand_over(_read(script), ports.osc_port(osc_port, http_port), timeout)
    if not performers:
        raise EngineError("no `antiphon live` of yours plays at this server; start one, or run scripts on the page")
    typer.echo(f"handed to {performers} `antiphon live`")


def hand_over(text: str, port: int, timeout: float) -> int:
    """Hands a script to the server on this machine; the number of programs that perform it. `timeout` in seconds.

    Raises UsageError: this user has no token. Raises WireError: the server refuses; with its reason. Raises
    EngineError: no server answers, or it does not have this user's token.
    """
    from antiphon.files.owner_token import TokenProof, nonce

    token, asked = "", nonce()
    with suppress(OSError):
        token = find_token(paths.config())
    if not token:
        raise UsageError("you have no token here; `antiphon serve --live` makes one, in the same ANTIPHON_HOME")
    with closing_socket(HOST, port, True) as sock:
        send(sock, encode("/live/join", asked), True)
        for message in listen(sock, Framer(), time.monotonic() + timeout):
            match message.address, message.args:
                case b"/live/challenge", (str(given), proof):
                    found = TokenProof(token, port, asked, given)
                    if not found.check(proof, "server"):
                        raise EngineError(f"the server on OSC port {port} does not have your token; nothing was sent")
                    send(sock, encode("/live/eval", found.make("hand over", text), text), True)
                case b"/done", ("/live/eval", int(count)):
                    return count
                case b"/fail", _:
                    raise refusal(Message(*message))
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
