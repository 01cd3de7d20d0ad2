"""How the networks of `hum` are trained: material, batches, recipes."""
