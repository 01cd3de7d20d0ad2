"""A plugin that works, written for somebody to change: one for each shape a processor can have."""
