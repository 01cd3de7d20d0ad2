"""Tags: scenes whose labels a rule states, the training of the network on them, and its evaluation; and `character`'s.

May import `antiphon_classify`, the rest of `classify`, `material` and `learning`.
"""
