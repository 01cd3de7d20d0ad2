"""The loops that `antiphon play` feeds to a patch where there is no microphone: made by seed, no recording of anybody.

May import `contract`, `runtime` and `errors`.
"""
