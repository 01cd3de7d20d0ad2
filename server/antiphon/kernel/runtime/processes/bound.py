"""A module run in a process that ends with its parent: `python -m antiphon.kernel.runtime.processes.bound`.

Its arguments are those of `bound_command`: the parent's pid, an increment of the nice value, the most bytes of a file
or -1, the module and its words. It imports little before it is bound.
"""

import os
import runpy
import sys

from antiphon.kernel.runtime.platform import end_with_parent, limit_resources


def main(parent: str, nice: str, most: str, module: str, *words: str) -> None:
    """Runs the module, unless the parent has ended already."""
    if not end_with_parent(int(parent)):
        sys.exit(1)
    if int(most) >= 0:
        limit_resources(file=int(most))
    if int(nice):
        os.nice(int(nice))
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
