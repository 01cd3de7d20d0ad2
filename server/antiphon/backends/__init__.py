"""Synth backends: their interface and registry, the choice of one by a server, and the silent one."""
