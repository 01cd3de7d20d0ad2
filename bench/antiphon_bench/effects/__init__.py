"""The bench of the effects, beside pedalboard."""
