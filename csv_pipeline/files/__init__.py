"""Where files lie, and what is done to them there."""
