"""The kernel alone: `python -m antiphon.kernel --patch FILE [--osc-port P]`, by the software clock by default."""

import argparse
import sys
from collections.abc import Sequence

from antiphon.backends.serving import ServedSynth
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import AUDIO, OSC_PORT, ServeSettings
from antiphon.kernel.supervisor.companions import Companions
from antiphon.kernel.supervisor.watch import Supervisor
from antiphon.recording import requests


def main(arguments: Sequence[str]) -> int:
    """Plays until SIGINT or SIGTERM. Returns the exit status: 0, or 2 with one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m antiphon.kernel", allow_abbrev=False, description=__doc__)
    parser.add_argument("--patch", required=True, metavar="FILE", help="patch that is played")
    parser.add_argument("--osc-port", type=int, default=OSC_PORT, metavar="P", help="UDP and TCP port; 0: a free one")
    parser.add_argument("--audio", default="headless", choices=AUDIO, help="headless is the software clock")
    parser.add_argument("--input", default="", metavar="NAME", help="part of an input device's name")
    parser.add_argument("--record", default="", metavar="FILE", help="sound file that the output is recorded to")
    asked = parser.parse_args(arguments)
    settings = ServeSettings(**vars(asked), http_port=0, extra={"web": False})
    folder = None
    try:
        settings = settings.check()
        folder = pidfile.folder(settings)
        pidfile.end_orphans(folder)
        return Supervisor(settings, folder, Companions(recording=requests, notes=ServedSynth())).run()
    except AntiphonError as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if folder is not None:
            pidfile.clear(folder, settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
