"""A helper for tests: each request names what it does."""

import os
import resource
import signal
import subprocess
import sys

from antiphon.kernel.runtime.processes.helper_channel import HelperChannel


def main(channel: HelperChannel) -> None:
    for asked in channel.requests():
        match asked["do"]:
            case "answer":
                print("a library prints")
                os.system("echo so does a program")
                channel.send({"said": asked["what"]}, *(bytes([n]) * 1000 for n in range(asked.get("parts", 0))))
            case "environment":
                names = ("OPENBLAS_NUM_THREADS", "PYTHONPATH")
                channel.send({name: os.environ.get(name, "") for name in names})
            case "limits":
                kinds = {"data": 2, "core": 4, "cpu": 0, "file": 1, "address": 9}
                most = {kind: resource.getrlimit(number)[0] for kind, number in kinds.items()}
                channel.send({"nice": os.nice(0), **most})
            case "rubbish":
                os.write(channel.output, b"no message at all, but a line of a library\n")
            case "list":
                os.write(channel.output, bytes([2, *bytes(15)]) + b"[]")
            case "half":
                os.write(channel.output, bytes([200, *bytes(15)]) + b'{"cut": ')
                os._exit(3)
            case "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "start":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                channel.send({"pid": child.pid})
            case "hang":
                signal.pause()
