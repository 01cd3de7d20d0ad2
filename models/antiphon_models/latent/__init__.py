"""What `latent` plays: its material, the fit of its model, the training of one's own notes, and how they are judged.

May import `antiphon_latent`, `material` and `learning`, and no other model.
"""
