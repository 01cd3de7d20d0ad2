"""Converts notes to messages for scsynth: SynthDefs, the voices that play them, and the bytes of each message.

May import only `antiphon.api`, and uses no process, socket or clock.
"""
