"""The noise floor of a sound: how much of each band is noise, and the bound that it sets on what may be removed."""
