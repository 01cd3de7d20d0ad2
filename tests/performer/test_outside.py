"""OSC from a script to another program: a bundle by UDP, with the time at which it is to take effect."""

import socket
import time

from antiphon.kernel.wire.osc import Bundle, Message, decode
from antiphon.performer.wire import OutsidePrograms


def test_a_message_has_the_time_of_its_beat() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        there.settimeout(60.0)
        port = there.getsockname()[1]
        outside = OutsidePrograms()
        before = time.time()
        outside.send(f"@127.0.0.1:{port}/light/1", (1, 0.5, "red"), 0.25)
        after = time.time()
        bundle = decode(there.recv(1 << 16))
        outside.close()
    assert isinstance(bundle, Bundle)
    (message,) = bundle.items
    assert isinstance(message, Message)
    assert (message.address, list(message.args)) == (b"/light/1", [1, 0.5, "red"])
    at = bundle.timetag / 2**32 - 2_208_988_800
    assert before + 0.25 - 1e-3 <= at <= after + 0.25 + 1e-3
    assert outside.lost == 0
