"""What comes from MIDI ports: notes, expression, pedals, learning."""
