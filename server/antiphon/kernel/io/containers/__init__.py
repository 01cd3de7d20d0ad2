"""What a sound file is made of, by its bytes alone: see `layout`. Nothing is decoded."""
