"""Time zones behind a time of day: which are known, and what a column does with them.

A zone is known by its offset (`Z`, `+02:00`, `UTC-7`) or by an abbreviation that means one offset
only: those of RFC 2822, section 4.3, but `CST` and `CDT`, and of CLDR for Europe, Asia and
Australia. `CST`, `IST` or `BST` are the zones of several countries: nothing tells which is meant.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from csv_pipeline.casts.evidence import Sightings

UTC = "UTC"
"""The way of a column whose moments are converted to UTC; one without a zone is a reject."""

NONE = "no zone"
"""The way of a column whose times are stored as written; one with a zone is a reject."""

NEEDED = "one time zone known by its offset, such as Z, +02:00 or PDT, in each value or in none"

_HOURS: dict[str, dict[str, float]] = {
    "UTC": {"z": 0, "utc": 0, "gmt": 0, "ut": 0},
    "WET/WEST": {"wet": 0, "west": 1},
    "CET/CEST": {"cet": 1, "cest": 2, "mez": 1, "mesz": 2},
    "EET/EEST": {"eet": 2, "eest": 3},
    "MSK": {"msk": 3},
    "EST/EDT": {"est": -5, "edt": -4},
    "MST/MDT": {"mst": -7, "mdt": -6},
    "PST/PDT": {"pst": -8, "pdt": -7},
    "AKST/AKDT": {"akst": -9, "akdt": -8},
    "HST": {"hst": -10},
    "JST": {"jst": 9},
    "KST": {"kst": 9},
    "HKT": {"hkt": 8},
    "SGT": {"sgt": 8},
    "AWST": {"awst": 8},
    "ACST/ACDT": {"acst": 9.5, "acdt": 10.5},
    "AEST/AEDT": {"aest": 10, "aedt": 11},
    "NZST/NZDT": {"nzst": 12, "nzdt": 13},
}
PATTERN = r"(?:utc|gmt)?[+-][0-9]{1,2}(?::?[0-9]{2})?|[a-z]{1,5}"
"""What may be a zone, in lower case; `zone` knows whether it is one."""

_OFFSET = re.compile(r"(?:utc|gmt)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?")
_MOST_SHOWN = 5
_MOST_HOURS = 14  # Kiribati; the furthest there is


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone: the place that has it, summer time or not, and its minutes ahead of UTC."""

    place: str
    offset: int


_ZONES = {
    name: Zone(place, round(hours * 60))
    for place, names in _HOURS.items()
    for name, hours in names.items()
}


def zone(text: str, declared: Mapping[str, str] | None = None) -> Zone | None:
    """Return the zone of a text in lower case, or None if it is not known for certain.

    `declared` are the offsets of what else is one.

    >>> zone("pdt"), zone("+0530"), zone("cst")
    (Zone(place='PST/PDT', offset=-420), Zone(place='+05:30', offset=330), None)
    """
    text = (declared or {}).get(text, text)
    if (found := _OFFSET.fullmatch(text)) is None:
        return _ZONES.get(text)
    sign, hours, minutes = found.group(1), int(found.group(2)), int(found.group(3) or 0)
    if hours > _MOST_HOURS or minutes > 59:
        return None
    offset = (hours * 60 + minutes) * (-1 if sign == "-" else 1)
    return Zone(f"{sign}{hours:02}:{minutes:02}" if offset else UTC, offset)


def converted(
    zones: pl.Series, style: str | None, declared: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Return for the zone of each value that has a time whether it is sound, and its shift.

    Shape: `sound` (Boolean) and `shift`, minutes to take off the time. `zones` is in lower case and
    null where a value states none; `style` is None where each value speaks for itself.
    """
    if zones.null_count() == len(zones):
        none = pl.Series("sound", [style in {None, NONE}]).new_from_index(0, len(zones))
        return pl.DataFrame([none, none.cast(pl.Int64).alias("shift") * 0])
    names = zones.unique().drop_nulls().to_list()
    known = {name: found for name in names if (found := zone(name, declared))}
    as_written = style not in {None, UTC}
    sound = {
        name: name in known and (not as_written or known[name].place == style) for name in names
    }
    shift = {name: 0 if as_written else its.offset for name, its in known.items()}
    return pl.DataFrame(
        {
            "sound": zones.replace_strict(
                sound, default=style in {None, NONE}, return_dtype=pl.Boolean
            ),
            "shift": zones.replace_strict(shift, default=0, return_dtype=pl.Int64),
        }
    )


@dataclass(slots=True)
class Census:
    """How many times of day of a column state which zone, and how many none.

    `declared` are the offsets of the zones that only this column knows.
    """

    bare: Sightings = field(default_factory=Sightings)
    stated: Sightings = field(default_factory=Sightings)
    places: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    declared: Mapping[str, str] = field(default_factory=dict)

    def add(self, zones: pl.Series, values: pl.Series, row_numbers: pl.Series) -> None:
        """Take in the zones, in lower case, of values that have a time of day."""
        self.bare.add(zones.is_null(), values, row_numbers)
        self.stated.add(zones.is_not_null(), values, row_numbers)
        for name, count in zones.drop_nulls().value_counts().iter_rows():
            if (found := zone(name, self.declared)) is not None:
                self.places[found.place] += count
            else:
                self.unknown[name.upper()] += count

    def style(self, *, date: bool, time: bool, of_utc: bool) -> str:
        """Return what becomes of the times of a column; the few unlike the others are rejects.

        A moment, `date` and `time` of day together, is converted to UTC. A date alone stays as
        written where all state the same zone, unless other dates of the file are `of_utc`; so does
        a time alone, which has no other way.
        """
        if self.bare.count > self.places.total():
            return NONE
        alone = not (date and time) and not (date and of_utc)
        if alone and len(self.places) == 1 and not self.unknown:
            return next(iter(self.places))
        return UTC if date else NONE

    def because(self) -> str:
        """Return what the values state."""
        said = [f"{count:,} state {place}" for place, count in _most(self.places)]
        said += [f"{count:,} {name}, which is not known" for name, count in _most(self.unknown)]
        if self.bare.count:
            said.append(f"{self.bare.count:,} no zone")
        return f"of the values with a time of day {', '.join(said)}"


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the most frequent, the same whatever the order in which they were met."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SHOWN]
