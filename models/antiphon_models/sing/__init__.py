"""How well `sing` sings: pitch, time and words, judged by trackers and a recogniser that are not ours.

May import `antiphon_sing`, `material` and `learning`, and no other model.
"""
