"""What `latent` plays: its material, the trainings of its models, and how they are judged.

May import `antiphon_latent`, `material` and `learning`, and no other model.
"""
