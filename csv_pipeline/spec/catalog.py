"""How a feed is shown and started in Dagster: whose it is, its names, and when by itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.cron import is_cron

EAGER = "eager"
_TEAM = re.compile(r"team:[\w-]+|[^@\s]+@[^@\s]+\.[^@\s]+", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_]{1,63}", re.ASCII)
_TAG_KEY = re.compile(r"([\w.-]{1,63}/)?[\w.-]{1,63}", re.ASCII)
_TAG_VALUE = re.compile(r"[\w.-]{0,63}", re.ASCII)
_OURS = ("csv_pipeline/", "dagster/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What a feed's assets are in Dagster's catalogue.

    Attributes:
        owners: E-mail addresses, or teams as `team:NAME`.
        tags: Tags of the assets, besides the pipeline's own.
        key_prefix: Names before those of the assets: `("shop",)` makes `shop/orders`.
        automation: When Dagster imports what waits besides the sensor: a cron expression in UTC, or
            `eager`, whenever the feed's files are reported as materialised by another system.
    """

    owners: tuple[str, ...] = ("team:imports",)
    tags: Mapping[str, str] = field(default_factory=dict)
    key_prefix: tuple[str, ...] = ()
    automation: str | None = None

    def hold_to(self, feed: str) -> None:
        """Hold what is declared to what Dagster takes: it would load no feed at all.

        Raises:
            SetupError: Something is not.
        """
        for needed, found in self._faults():
            raise SetupError(f"feed {feed!r}: {needed} was needed; found {found!r}")

    def _faults(self) -> list[tuple[str, str]]:
        owner = "an owner as team:NAME or an e-mail address"
        part = "a key_prefix of letters, digits and _"
        tag = "a tag of letters, digits, -, _ and ., at most 63, not of csv_pipeline/ or dagster/"
        when = "automation of eager, or of a cron expression of five fields"
        its = self.automation
        return [
            *((owner, one) for one in self.owners if not _TEAM.fullmatch(one)),
            *((part, one) for one in self.key_prefix if not _PART.fullmatch(one)),
            *((tag, f"{k}: {v}") for k, v in self.tags.items() if not _is_tag(k, v)),
            *([(when, its)] if its not in {None, EAGER} and not is_cron(str(its)) else []),
        ]


def _is_tag(key: str, value: str) -> bool:
    fits = _TAG_KEY.fullmatch(key) and _TAG_VALUE.fullmatch(value)
    return bool(fits) and not key.startswith(_OURS)
