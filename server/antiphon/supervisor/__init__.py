"""`antiphon serve`: a small parent that keeps control, engine and recorder alive.

    supervisor ──exec──> control    asyncio: OSC, HTTP, session        no samples
        │ ──fork──> engine          one plan, block by block           no sockets but the loader's
        └─fork──> recorder          files from the tap and the journal

The parent makes what must outlive a child (`parts`: sockets, shared memory, bells) and imports what the engine needs,
so that a new engine is a fork away (`starts`). It waits for deaths (`watch`); it handles no sound and no message.
If it dies itself, the others play on; the next `serve` with the same ports takes over with their state (`before`).
"""

from antiphon.supervisor.watch import Supervisor

__all__ = ["Supervisor"]
