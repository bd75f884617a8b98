"""One thing that an account may declare of its files, and the commands to do so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of an account by its name, such as `date_order`; `value` None: not declared."""

    account: str
    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @property
    def because(self) -> str:
        """Who declares it."""
        return f"account {self.account!r} declares it"

    def declare(self, value: str) -> str:
        """Return the command that declares a value.

        >>> Setting(account="acme", name="date_order").declare("day first")
        'csv-pipeline account acme --date-order day-first'
        """
        return f"{self._command} --{self._option} {value.replace(' ', '-')}"

    @property
    def forget(self) -> str:
        """The command after which the files decide."""
        return f"{self._command} --forget {self._option}"

    @property
    def _command(self) -> str:
        return f"csv-pipeline account {self.account}"

    @property
    def _option(self) -> str:
        return self.name.replace("_", "-")
