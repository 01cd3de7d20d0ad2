"""What measures `genre`, makes musicnn's weights of its wheel, and learns `popularity` from a table."""
