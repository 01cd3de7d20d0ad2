"""`antiphon library`: the catalogue of sound files and their analysis results."""
