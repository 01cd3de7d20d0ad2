"""Who is connected, what each is sent, and who was approved."""
