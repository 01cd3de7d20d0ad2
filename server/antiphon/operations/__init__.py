"""Operations on files, for the command line and the Python interface."""
