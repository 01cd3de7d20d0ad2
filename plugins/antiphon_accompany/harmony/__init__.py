"""The chords under a melody: estimated by tables and networks, or given as text; arithmetic that knows no band."""
