"""The noise of a file as a whole: whether there is any, and how far a mask may be trusted to take it alone."""
