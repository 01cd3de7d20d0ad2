"""Lab of `follow`: converts its networks, fits its tables, and evaluates it."""
