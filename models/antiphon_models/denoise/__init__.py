"""The networks of `denoise`, their training material and their measures.

May import `antiphon_denoise`, `material` and `learning`, and no other model; `network/` nothing of the training.
"""
