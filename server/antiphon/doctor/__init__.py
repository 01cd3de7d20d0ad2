"""Checks of this machine with fixes for what fails: `antiphon doctor`, `antiphon devices`."""
