"""Notes to sound: the backend interface, pyo, a recorder of what it was told, and the node that plays them."""
