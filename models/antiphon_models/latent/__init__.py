"""Material, model fit, training and evaluation of `latent`.

May import `antiphon_latent`, `material` and `learning`, and no other model.
"""
