"""A running pipeline under random arrivals and random trouble, and what is to be left of it."""
