"""`antiphon bench workers`: the cost of a hop in a worker, on the processor and on a card, and the plugin it plays."""
