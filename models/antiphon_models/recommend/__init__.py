"""How recommendations are measured: simulated listeners, logs of real ones, and the methods beside each other.

May import `antiphon_library` and `learning`, and no other model.
"""
