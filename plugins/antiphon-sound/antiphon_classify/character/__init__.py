"""Energy, danceability and mood as computed measures: no network."""
