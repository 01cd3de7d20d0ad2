"""The bench of the effects, beside pedalboard.

May import `antiphon.bench`, beside what its plugin may.
"""
