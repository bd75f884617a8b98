"""One import from claim to report, and everything around it: claims, moves, retention, undo."""
