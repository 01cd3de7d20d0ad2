"""What one can ask of files: the work under the command line and the Python interface."""
