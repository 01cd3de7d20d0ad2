"""`antiphon bench soak`: runs a server under load for hours, with patch changes and kills, and measures its growth."""
