"""Records that both platforms return."""

from typing import NamedTuple


class ThreadTimes(NamedTuple):
    """Time that a thread has run and waited since its start."""

    ran: int  # time computed, ns
    waited: int  # time waited for a processor, ns, in waits that have ended; -1 where the system does not tell
    ready: bool
