"""One module for each thing that the API knows, with its paths below `/api/v1`."""
