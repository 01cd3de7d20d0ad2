"""Live coding: patterns as functions of time, the mini-notation, and the words of a live script."""
