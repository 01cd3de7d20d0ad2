#!/usr/bin/env bash
# Program: ZynAddSubFX 3.0.6 (Debian 12, zynaddsubfx), its OSC port; python-osc 1.10.2 (PyPI) makes the messages.
# One would expect: a number beyond a parameter's range is held at its nearer end, as /part0/Volume (a float) does.
# What happens: a whole number is taken modulo 256 first: /part0/Ppanning -1 is 127, hard right, 256 is 0, hard left, 300
#   is 44; velocity sensing, key shift and the lowest key alike. A float for it (64.0, as most controllers send) is
#   ignored without an answer, and so are 0 and 1, as numbers, for a switch (/part0/Penabled takes OSC's T and F alone).
# Why it matters: an endless knob that goes a step too far throws the sound to the other side; a fader of TouchOSC moves nothing.
# Source: its own schema says min 0, max 127 (zynaddsubfx -D); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v zynaddsubfx >/dev/null || { echo "needs zynaddsubfx"; exit 2; }
dpkg-query -W zynaddsubfx
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-osc==1.10.2
cd "$folder"
HOME=$folder venv/bin/python - <<'END'
import socket
import subprocess

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours.bind(("127.0.0.1", 0))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]


def ask(address, *values, seconds=2.0):
    """What the address holds after the values were sent to it; None without an answer."""
    for part in ([*values], []) if values else ([],):
        builder = OscMessageBuilder(address)
        for value in part:
            builder.add_arg(value)
        ours.sendto(builder.build().dgram, ("127.0.0.1", port))
    held = None
    ours.settimeout(seconds)
    try:
        while True:
            message = OscMessage(ours.recv(65536))
            if message.address == address:
                held = message.params[0]
            ours.settimeout(0.3)
    except TimeoutError:
        return held


synth = subprocess.Popen(
    ["zynaddsubfx", "-U", "-O", "NULL", "-I", "NULL", "-P", str(port)],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
try:
    assert any(ask("/part0/Ppanning", seconds=0.5) is not None for _ in range(40)), "it did not start"
    expected = {
        "/part0/Ppanning": [(64, 64), (-1, 127), (256, 0), (300, 44), (127, 127), (64.0, 127)],
        "/part0/Pvelsns": [(-5, 127)],
        "/part0/Pkeyshift": [(-5, 127)],
        "/part0/Pminkey": [(-5, 127)],
        "/part0/Volume": [(-1000.0, -40.0)],
        "/part0/Penabled": [(0, True), (False, False), (1, False), (True, True)],
    }
    for address, pairs in expected.items():
        for value, wanted in pairs:
            held = ask(address, value)
            print(f"{address} {value!r}: holds {held!r}")
            assert held == wanted and type(held) is type(wanted)
finally:
    synth.terminate()
    synth.wait()
END
