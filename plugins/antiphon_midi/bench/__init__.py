"""The bench of MIDI clocks.

May import `antiphon.bench`, beside what its plugin may.
"""
