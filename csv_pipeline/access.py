"""What a token of the API allows."""

from enum import StrEnum


class Scope(StrEnum):
    """What a token allows; `admin` allows all."""

    READ = "read"
    UPLOAD = "upload"
    CORRECT = "correct"
    UNDO = "undo"
    ADMIN = "admin"
