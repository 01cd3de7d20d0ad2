"""MIDI: ports to commands, learning, pedals, and what goes out to other instruments.

May import `session`, `engine.link`, `control.osc.clients` and `io`.
"""
