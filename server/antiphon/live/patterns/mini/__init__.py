"""The mini-notation, as Tidal 1.9 documents it: text to a tree, and the tree to a query. May import the queries."""
