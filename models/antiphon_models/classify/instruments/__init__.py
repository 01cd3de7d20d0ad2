"""Which instruments sound: sixteen families by what plays them, their material, training and evaluation."""
