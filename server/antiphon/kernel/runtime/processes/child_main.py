"""The program of each child: `python -P -m antiphon.kernel.runtime.processes.child_main HEAD FUNCTION WORDS…`.

`children.spawn` starts it. HEAD is JSON: `parent`, the pid of the process with which it ends, 0 for none; `nice` and
`most`, its limits; `lane`, whether requests are messages. It imports little before it is bound to its parent.
"""

import importlib
import json
import os
import runpy
import sys

from antiphon.kernel.runtime.platform import end_with_parent, limit_resources, name_process


def main(head: str, function: str, *words: str) -> None:
    """Runs the function, unless the parent has ended already, and ends the process; a module ends it by returning."""
    given = json.loads(head)
    if given["parent"] and not end_with_parent(given["parent"]):
        sys.exit(1)
    if given["nice"]:
        os.nice(given["nice"])
    module, _, name = function.partition(":")
    name_process(module.removeprefix("antiphon.").removeprefix("kernel.").removesuffix(".process"))
    sys.argv[1:] = words
    if not name:
        limit_resources(**given["most"])
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    from antiphon.kernel.runtime.processes.child_process import leave

    channel = []
    if given["lane"]:
        from antiphon.kernel.runtime.processes.helper_channel import HelperChannel

        channel = [HelperChannel()]
    work = getattr(importlib.import_module(module), name)  # before the limits, for it may write bytecode
    limit_resources(**given["most"])
    leave(lambda: work(*channel, *words))  # threads that it has started end here


if __name__ == "__main__":
    main(*sys.argv[1:])
