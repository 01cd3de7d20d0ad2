"""`antiphon serve`: a small parent process that starts control, engine and recorder and restarts those that end.

    supervisor ──exec──> control    asyncio: OSC, session              no samples
        │ ──fork──> engine          one plan, block by block           no sockets but the loader's
        └─fork──> recorder          files from the tap and the journal
    and, if requested, its companions: web, and with --live the performer of the scripts that pages send

The parent creates what must outlive a child (`parts`: sockets, shared memory, bells) and imports what the engine needs,
so that starting an engine costs one fork (`starts`). It polls for children that ended (`watch`); it handles no samples
and no OSC messages. If it dies itself, its children continue; the next `serve` with the same ports ends them and
restores their state (`before`).
"""
