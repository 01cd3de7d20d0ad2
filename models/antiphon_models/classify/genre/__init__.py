"""The classifier of genres: its material, training, calibration and evaluation."""
