"""Stems: the material, networks, training and evaluation of the plugin `antiphon_stems`."""
