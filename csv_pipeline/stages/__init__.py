"""HOW: the stages of an import. Each takes files and gives files, and imports no other stage."""
