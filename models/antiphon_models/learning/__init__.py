"""Training and evaluation of models, as run by `antiphon train` and `antiphon evaluate`.

A plugin gives a `recipe.Recipe` or an `evaluation.Evaluation`. The training loop, log, resuming, tables and figures are
here, the same for all.
"""
