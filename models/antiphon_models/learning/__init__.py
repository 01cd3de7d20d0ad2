"""Training and evaluation of models, as run by `antiphon train` and `antiphon evaluate`.

A plugin gives a `recipe.Recipe` or an `evaluation.Evaluation`; the loop, the log, going on after a stop, tables and
figures are here and the same for all.
"""
