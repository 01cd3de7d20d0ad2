"""Lab of `follow`: conversion of its networks, fitting of its tables, evaluation."""
