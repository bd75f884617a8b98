"""The HTTP API and its pages: they parse and render; the engine and the database do the work."""
