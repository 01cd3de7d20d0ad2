"""Lessons: their files, and the judgement of a learner's tries."""
