"""Patterns that several feeds share."""

EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
EMAIL_NEEDS = "an address such as name@example.com"
