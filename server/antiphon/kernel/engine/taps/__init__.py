"""Sound of nodes to the memory of listeners and captures, and of a browser into the input."""
