"""Heavy or fragile code in processes of its own: the arena they share with the engine, zygotes, streams of hops."""
