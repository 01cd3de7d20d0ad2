"""Recording: a process that reads the engine's tap and journal, its sound files, and what begins it."""
