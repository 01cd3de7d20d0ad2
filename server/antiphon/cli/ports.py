"""Options for ports shared by the commands that start or query a server."""

from typing import Annotated

from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.ports import HTTP_PORT, OSC_PORT

_OURS = "by default that of your server where one runs, else"
_OSC, _HTTP = f"The server's OSC port; {_OURS} {OSC_PORT}.", f"The server's HTTP port; {_OURS} {HTTP_PORT}."

Host = Annotated[str, argument("The machine the server runs on.")]
"""The option --host."""
Osc = Annotated[int, argument(_OSC, "PORT", low=1, high=65535, flags="--osc-port --port")] | None
"""The option --osc-port of a command that queries a server by OSC; None if not given."""
Http = Annotated[int, argument(_HTTP, "PORT", low=1, high=65535, flags="--http-port --port")] | None
HttpBesideOsc = Annotated[int, argument(_HTTP, "PORT", low=1, high=65535, flags="--http-port")] | None
"""The option --http-port of a command where `--port` is the OSC port."""
InsteadOfHttp = Annotated[int, argument(_OSC, "PORT", low=1, high=65535, flags="--osc-port")] | None
