"""How the files of a feed are written, where it declares that."""

from dataclasses import dataclass

from csv_pipeline.errors import SetupError


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDialect:
    """What is declared of files; one that disproves it is refused.

    Without a `header` each record is a line, or several if `quote` is around a line end; its fields
    are the contract's columns that are not derived, in the order of the contract, and without a
    `quote` every character but the delimiter is text. With a header the bytes show the `delimiter`
    if it is "", and the `quote` if it is None; "" declares that there is none. They show the
    `encoding` of either if it is None.
    """

    delimiter: str = ""
    quote: str | None = None
    encoding: str | None = None
    header: bool = False

    def __post_init__(self) -> None:
        """Hold the declaration to what can be read by it.

        Raises:
            SetupError: Nothing parts the cells of files without a header, or a name is no encoding.
        """
        if not (self.header or self.delimiter):
            raise SetupError("a delimiter of files without a header was needed; found none")
        if self.encoding is not None and not is_encoding(self.encoding):
            raise SetupError(f"the name of an encoding was needed; found {self.encoding!r}")


def is_encoding(name: str) -> bool:
    """Return whether Python knows an encoding of text by this name."""
    try:
        "a".encode(name)  # codecs has others, such as hex, that give no text
    except (LookupError, ValueError):
        return False
    return True
