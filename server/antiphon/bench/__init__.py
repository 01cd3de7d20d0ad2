"""`antiphon bench NAME`: the figures of docs/decisions.md, on anyone's machine."""
