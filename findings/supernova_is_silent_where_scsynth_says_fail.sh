#!/usr/bin/env bash
# Programs: scsynth and supernova 3.13.0 (Debian 12, supercollider-server and supercollider-supernova) on jackd2's dummy
#   driver; python-osc 1.10.2 and supriya 26.10b1 (PyPI) make the messages.
# One would expect: supernova answers as scsynth does, whose protocol it speaks: /fail with the reason for a synth of an
#   unknown definition, for a number that is taken, for a node that is not there, for a command that it does not know.
# What happens: scsynth answers /fail each time. supernova writes a line on its own console and sends nothing, though it
#   does send /fail for a file that it cannot open and for a second /notify. Its /notify has no limit of clients either
#   (scsynth: number of the client, then 64), and a synth asked for with number -1 is announced by /n_go in supernova
#   alone.
# Why it matters: a client that waits for /n_go or /fail waits for ever, and one that frees what may have ended by
#   itself cannot tell whether it has.
# Source: SuperCollider's Server Command Reference ("/fail"); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v scsynth supernova jackd >/dev/null || { echo "needs scsynth, supernova and jackd2"; exit 2; }
dpkg-query -W supercollider-server supercollider-supernova jackd2
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-osc==1.10.2 supriya==26.10b1
cd "$folder"
venv/bin/python - <<'END'
import os
import socket
import subprocess
import time

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from supriya import synthdef
from supriya.ugens import Out, SinOsc

NAME = f"finding{os.getpid()}"
ENVIRONMENT = dict(os.environ, JACK_DEFAULT_SERVER=NAME, SC_JACK_DEFAULT_INPUTS="", SC_JACK_DEFAULT_OUTPUTS="")


@synthdef()
def tone(frequency=440.0):
    Out.ar(bus=0, source=SinOsc.ar(frequency=frequency) * 0.1)


CASES = {
    "notify": ("/notify", 1),
    "definition": ("/d_recv", tone.compile()),
    "unknown definition": ("/s_new", "nobody", 1000, 0, 0),
    "synth": ("/s_new", "tone", 1000, 0, 0),
    "number taken": ("/s_new", "tone", 1000, 0, 0),
    "no such node": ("/n_free", 4242),
    "unknown command": ("/nobody", 1),
    "no such file": ("/b_allocRead", 5, "/nobody.wav"),
    "synth -1": ("/s_new", "tone", -1, 0, 0),
}


def answers(program, *options):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([program, "-u", str(port), *options], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", port))
            client.settimeout(1)

            def ask(address, *arguments):
                builder = OscMessageBuilder(address)
                for argument in arguments:
                    builder.add_arg(argument)
                client.send(builder.build().dgram)
                try:
                    message = OscMessage(client.recv(65536))
                except TimeoutError:
                    return None
                return message.address, message.params

            for _ in range(20):
                time.sleep(0.5)
                try:
                    if ask("/status"):
                        break
                except ConnectionRefusedError:
                    continue
            return {name: ask(*message) for name, message in CASES.items()}
    finally:
        server.terminate()
        server.wait()


jack = subprocess.Popen(
    ["jackd", "-n", NAME, "-d", "dummy", "-r", "48000", "-p", "256"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)
try:
    time.sleep(2)
    scsynth, supernova = answers("scsynth"), answers("supernova", "-t", "1")
finally:
    jack.terminate()
    jack.wait()
for name in CASES:
    print(f"{name:20} scsynth {scsynth[name]}, supernova {supernova[name]}")
for name in ("unknown definition", "number taken", "no such node", "unknown command"):
    assert scsynth[name][0] == "/fail" and supernova[name] is None
assert scsynth["no such file"][0] == supernova["no such file"][0] == "/fail"
assert scsynth["notify"] == ("/done", ["/notify", 0, 64]) and supernova["notify"] == ("/done", ["/notify", 0])
assert scsynth["synth -1"] is None and supernova["synth -1"][0] == "/n_go"
END
