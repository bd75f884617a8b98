"""One import from its claim to its report, and what is done around it."""
