"""What a command prints beside its answer: errors as one sentence, colour, a progress bar.

May import no other module of `cli`.
"""
