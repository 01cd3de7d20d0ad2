"""`antiphon bench soak`: a server under load for hours, with patch changes and kills, and its growth."""
