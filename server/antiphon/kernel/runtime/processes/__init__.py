"""Child processes, descriptors between them, and the identity and scheduling of processes."""
