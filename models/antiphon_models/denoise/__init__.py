"""The networks of `denoise`, what they are trained on, and what the denoiser is measured by.

May import `antiphon_denoise`, `material` and `learning`, and no other model; `network/` nothing of the training.
"""
