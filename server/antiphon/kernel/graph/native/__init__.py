"""Machine-code part of a plan: rows of packed kernel calls, and the layout of a node's step as a row."""
