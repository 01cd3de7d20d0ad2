"""`antiphon bench dirt`, and real Tidal for the tests."""
