"""Functions that differ by system: bells, shared memory, ending with a parent, resource limits, locks, machine facts.

Linux has ways of its own (`linux`, `proc`). Elsewhere, and with ANTIPHON_PORTABLE=1 there too, the plain ways are taken
(`plain`): those of POSIX, without a fork. Windows, for which limits and locks are written, has not run.
"""

from antiphon.kernel.runtime.platform.choice import PORTABLE
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
from antiphon.kernel.runtime.platform.records import ThreadTimes

if PORTABLE:
    from antiphon.kernel.runtime.platform.plain import (
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
        network,
        private_memory,
        process_at,
        ring,
        short_slices,
        start_time,
        thread_clocks,
        thread_times,
        wait_bell,
    )
else:
    from antiphon.kernel.runtime.platform.linux import (
        adopt_orphans,
        anonymous_file,
        cores,
        end_before_exec,
        end_with_parent,
        exact_timers,
        fifo,
        hear,
        make_bell,
        ring,
        short_slices,
        wait_bell,
    )
    from antiphon.kernel.runtime.platform.proc import (
        descendants,
        free_memory,
        is_stopped,
        network,
        private_memory,
        process_at,
        start_time,
        thread_clocks,
        thread_times,
    )

__all__ = [
    "MONOTONIC",
    "PORTABLE",
    "PROCESS_TIME",
    "ThreadTimes",
    "adopt_orphans",
    "allow_processor_time",
    "anonymous_file",
    "c_function",
    "cores",
    "descendants",
    "end_before_exec",
    "end_with_parent",
    "exact_timers",
    "fifo",
    "free_memory",
    "hear",
    "is_stopped",
    "limit_address_space",
    "limit_resources",
    "lock_file",
    "lock_number",
    "make_bell",
    "most_open_files",
    "network",
    "private_memory",
    "process_at",
    "ring",
    "short_slices",
    "start_time",
    "thread_clocks",
    "thread_times",
    "unlock_number",
    "wait_bell",
    "widen_pipe",
]
