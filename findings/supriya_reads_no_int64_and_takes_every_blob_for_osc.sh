#!/usr/bin/env bash
# Package: supriya 26.10b1 (PyPI, the Python client of SuperCollider), supriya.osc.
# One would expect: a message with a 64-bit integer (h), a character (c) or a symbol (S), and one with a blob of one
#   byte, all of OSC 1.0, are read; at the least the numbers beside them are.
# What happens: h, c, S, t, m, r and I raise RuntimeError ("Unable to parse type"), and the whole message is lost. A
#   blob is first read as an OSC packet, so that bytes which are none raise ValueError. Sending 2 ** 31 raises
#   struct.error. d, arrays, T, F and N are read.
# Why it matters: a listener that is sent MIDI in blobs, a time stamp or a frame count over two thousand million
#   raises in its receiving thread, where the same sender reached python-osc or liblo.
# Source: OSC 1.0 (types); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supriya==26.10b1
cd "$folder"
venv/bin/python - <<'END'
import struct

from supriya.osc import OscMessage


def packet(tags, body):
    text = b"," + tags
    return b"/a\0\0" + text + b"\0" * (4 - len(text) % 4) + body


def answer(call):
    try:
        return call().contents
    except Exception as error:
        return type(error).__name__


read = {
    "d i": answer(lambda: OscMessage.from_datagram(packet(b"di", struct.pack(">di", 2.75, 60)))),
    "h i": answer(lambda: OscMessage.from_datagram(packet(b"hi", struct.pack(">qi", 5, 60)))),
    "c i": answer(lambda: OscMessage.from_datagram(packet(b"ci", struct.pack(">ii", 65, 7)))),
    "S i": answer(lambda: OscMessage.from_datagram(packet(b"Si", b"pan\0" + struct.pack(">i", 7)))),
    "b i": answer(lambda: OscMessage.from_datagram(packet(b"bi", struct.pack(">i", 1) + b"\x90\0\0\0" + struct.pack(">i", 7)))),
}
print(read)
assert read["d i"] == (2.75, 60)
assert read["h i"] == read["c i"] == read["S i"] == "RuntimeError" and read["b i"] == "ValueError"
try:
    OscMessage("/a", 2**31).to_datagram()
except struct.error as error:
    print("2 ** 31:", error)
else:
    raise SystemExit("2 ** 31 was sent")
END
