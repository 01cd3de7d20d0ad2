"""What systems do each in their own way, in one form: bells, shared memory, the end with a parent, limits, locks.

Linux has ways of its own (`linux`). Elsewhere, and with ANTIPHON_PORTABLE=1 there too, the plain ways are taken
(`plain`): those of POSIX, without a fork. Windows, for which limits and locks are written, has not run.
"""

from antiphon.kernel.runtime.platform.choice import PORTABLE
from antiphon.kernel.runtime.platform.files import (
    limit_resources,
    lock_file,
    lock_number,
    most_open_files,
    unlock_number,
    widen_pipe,
)

if PORTABLE:
    from antiphon.kernel.runtime.platform.plain import (
        anonymous_file,
        end_before_exec,
        end_with_parent,
        fifo,
        hear,
        make_bell,
        ring,
        short_slices,
        wait_bell,
    )
else:
    from antiphon.kernel.runtime.platform.linux import (
        anonymous_file,
        end_before_exec,
        end_with_parent,
        fifo,
        hear,
        make_bell,
        ring,
        short_slices,
        wait_bell,
    )

__all__ = [
    "PORTABLE",
    "anonymous_file",
    "end_before_exec",
    "end_with_parent",
    "fifo",
    "hear",
    "limit_resources",
    "lock_file",
    "lock_number",
    "make_bell",
    "most_open_files",
    "ring",
    "short_slices",
    "unlock_number",
    "wait_bell",
    "widen_pipe",
]
