"""The process that translates: `python -m antiphon.paste.child`, asked and answered by `translation`.

A program may be hostile, and its parser is one of Python, so it runs here: little memory and processor time, no files.
A request has `text`; its answer `text`, the script, with the numbers of its `tracks` and of the parts `left_out`, or
`refused`, the reason.
"""

from __future__ import annotations

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.platform import limit_resources
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.paste.program import translated

MEMORY = 600 << 20
"""Bytes that the process may have."""
SECONDS = 10
"""Seconds of processor time: a program of 200,000 characters takes five."""


def main() -> None:
    """Answers one request."""
    channel = HelperChannel()
    limit_resources(data=MEMORY, cpu=SECONDS, core=0, file=0)
    for request in channel.requests():
        try:
            made, script = translated(str(request["text"]))
            channel.send({"text": made, "tracks": len(script.tracks), "left_out": len(script.left_out)})
        except UsageError as error:
            channel.send({"refused": str(error)})
        return


if __name__ == "__main__":
    main()
