"""Terminal output besides the answer: errors as one sentence, colour, a progress bar.

May import no other module of `cli`.
"""
