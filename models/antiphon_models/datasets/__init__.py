"""Reads data sets in their authors' layouts: expected items, present items and splits. Imports `antiphon.api`."""
