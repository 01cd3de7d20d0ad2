"""Functions that differ by system: bells, shared memory, ending with a parent, resource limits, locks, machine facts.

Linux has ways of its own (`linux`). Elsewhere, and with ANTIPHON_PORTABLE=1 there too, the plain ways are taken
(`plain`): those of POSIX, without a fork. Windows, for which limits and locks are written, has not run.
"""

import os
import sys
from typing import Final

from antiphon.kernel.runtime.platform.files import (
    MONOTONIC,
    PROCESS_TIME,
    allow_processor_time,
    c_function,
    limit_address_space,
    limit_resources,
    lock_file,
    lock_number,
    most_open_files,
    unlock_number,
    widen_pipe,
)
from antiphon.kernel.runtime.platform.plain import ThreadTimes

PORTABLE: Final[bool] = sys.platform != "linux" or os.environ.get("ANTIPHON_PORTABLE", "") not in ("", "0")
"""Whether this process takes the plain ways of any system."""

if PORTABLE:
    from antiphon.kernel.runtime.platform.plain import (
        address_space,
        adopt_orphans,
        anonymous_file,
        cores,
        descendants,
        end_before_exec,
        end_with_parent,
        exact_timers,
        fifo,
        free_memory,
        hear,
        is_stopped,
        make_bell,
        name_process,
        network,
        private_memory,
        process_at,
        ring,
        short_slices,
        start_time,
        thread_clocks,
        thread_times,
        user_folder,
        wait_bell,
    )
else:
    from antiphon.kernel.runtime.platform.linux import (
        address_space,
        adopt_orphans,
        anonymous_file,
        cores,
        descendants,
        end_before_exec,
        end_with_parent,
        exact_timers,
        fifo,
        free_memory,
        hear,
        is_stopped,
        make_bell,
        name_process,
        network,
        private_memory,
        process_at,
        ring,
        short_slices,
        start_time,
        thread_clocks,
        thread_times,
        user_folder,
        wait_bell,
    )
