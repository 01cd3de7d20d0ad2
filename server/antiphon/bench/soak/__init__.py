"""`antiphon bench soak`: a server under load for hours, with patch changes and kills, and what it grew by.

May import the rest of `bench` and what that may import; the rest of `bench` imports nothing of it.
"""
