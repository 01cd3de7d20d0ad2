"""Data sets in their authors' layouts: expected and present items, and the training split. Imports `antiphon.api`."""
