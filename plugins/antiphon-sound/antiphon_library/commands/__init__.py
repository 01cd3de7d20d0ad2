"""`antiphon library`: the catalogue of sound files and what analyses find in them."""
