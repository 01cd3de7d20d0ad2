"""Command execution: turns and their clocks, the executor, and the queue of actions for the engine."""
