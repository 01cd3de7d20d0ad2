"""The engine process: one plan, run block by block ahead of the device."""
