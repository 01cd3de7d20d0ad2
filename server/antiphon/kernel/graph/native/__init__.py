"""What machine code plays of a plan: rows of packed calls, and how a node's step is laid out as one."""
