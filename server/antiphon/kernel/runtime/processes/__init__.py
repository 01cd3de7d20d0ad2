"""Child processes, descriptors between them, and what identifies and schedules a process."""
