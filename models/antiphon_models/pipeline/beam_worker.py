"""Worker process of Beam's direct runner, which ends with its parent."""

import os
import sys

from antiphon.kernel.runtime.platform import end_with_parent

PARENT = "ANTIPHON_BEAM_PARENT"
"""Environment variable with the worker's parent process."""


def main() -> None:
    """Runs a worker; its address and options are in the environment, as set by Beam."""
    if not end_with_parent(int(os.environ[PARENT])):
        return
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
