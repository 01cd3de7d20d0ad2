"""Notes to messages for scsynth: SynthDefs, the voices that play them, and the bytes of each message.

May import `antiphon.api` only: it uses no process, no socket and no clock.
"""
