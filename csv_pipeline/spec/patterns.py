"""Patterns that feeds in Python, feeds in files and proposals share, each with what it asks for."""

EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s.]+"
EMAIL_NEEDS = "an address such as name@example.com"
"""What an address is, as a pattern of the whole value, and in words."""
