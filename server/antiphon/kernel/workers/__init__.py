"""Worker processes for heavy or fragile code: the arena shared with the engine, zygotes, streams of hops."""
