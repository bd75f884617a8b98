"""Currencies: what an amount states beside its number, by code or by a common sign or word.

A sign that several currencies share, such as `$` or `kr`, stays as it is written unless the account
declares which of them it means.
"""

import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

import polars as pl

from csv_pipeline.casts.evidence import Sightings
from csv_pipeline.model import Evidence

HINT = "a currency by its ISO 4217 code or its sign"
_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR "
    "FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY "
    "KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU "
    "MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON "
    "RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP "
    "TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB "
    "XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR ZMW ZWG"
)
_WITHDRAWN = (
    "ADP AFA ANG ATS AYM AZM BEF BGL BGN BYB BYR CHC CSD CUC CYP DEM ECS ECV EEK ESP FIM FRF GHC "
    "GRD HRK IEP ITL LTL LUF LVL MGF MRO MTL MZM NLG PTE ROL RUR SDD SIT SKK SLL SRG STD TJR TMM "
    "TPE TRL USS VEB VEF XFO XFU YUM ZMK ZWD ZWL ZWN ZWR"
)
CODES = frozenset(f"{_CODES} {_WITHDRAWN}".split())
"""Those of ISO 4217: its list one of 2026, and of list three what was withdrawn since 1999, which
older files still state; six-group.com, "Currency codes". Not `XXX` and `XTS`, which are none."""
_DOLLARS = (
    "USD AUD CAD NZD HKD SGD TWD MXN ARS CLP COP UYU DOP CUP BBD BMD BND BSD BZD FJD GYD JMD KYD "
    "LRD NAD SBD SRD TTD XCD"
)
SHARED = {
    "$": frozenset(_DOLLARS.split()),
    "¥": frozenset({"JPY", "CNY"}),
    "元": frozenset({"CNY", "TWD", "HKD"}),
    "kr": frozenset({"SEK", "NOK", "DKK", "ISK", "EEK"}),
    "Rs": frozenset({"INR", "PKR", "LKR", "NPR", "MUR", "SCR"}),
}
"""Signs and words that several currencies have, with the codes that each may mean."""

_OTHERS = (
    "€:EUR £:GBP ₤:GBP ₹:INR ₩:KRW ฿:THB ₺:TRY ₽:RUB ₴:UAH ₫:VND ₱:PHP ₪:ILS ₦:NGN ₸:KZT "
    "₼:AZN ₾:GEL ₲:PYG ₡:CRC ₭:LAK ₮:MNT ₵:GHS ৳:BDT ₨:Rs 円:JPY 원:KRW "
    "us$:USD usd$:USD au$:AUD a$:AUD aud$:AUD ca$:CAD can$:CAD c$:CAD cad$:CAD nz$:NZD hk$:HKD "
    "s$:SGD sg$:SGD nt$:TWD mx$:MXN mex$:MXN r$:BRL "
    "euro:EUR euros:EUR zł:PLN zl:PLN kč:CZK kc:CZK ft:HUF lei:RON leu:RON fr:CHF sfr:CHF tl:TRY "
    "rm:MYR rp:IDR s/:PEN лв:BGN руб:RUB р:RUB грн:UAH дин:RSD din:RSD kn:HRK"  # noqa: RUF001  # Cyrillic
)
_NAMES = dict(pair.split(":") for pair in _OTHERS.split()) | {sign: sign for sign in SHARED}
_BEFORE_ONLY = {"r": "ZAR"}  # behind a number it may be anything


@lru_cache(maxsize=10_000)  # the same few words in every amount
def stated(around: str) -> str | None:
    """Return the currency around a number, "" if nothing does, None if it is none.

    `around` is what is left of an amount with `|` for its number. A sign before and its code behind
    are one currency; any other two are none.

    >>> stated("AU $|"), stated("|zł"), stated("$|CAD"), stated("$|EUR"), stated("|")
    ('AUD', 'PLN', 'CAD', None, '')
    """
    front, _, back = around.partition("|")
    first, second = _reduced(front), _reduced(back)
    one = _BEFORE_ONLY.get(first) or _named(first)
    two = _named(second)
    if not first or not second:
        return two if second else one
    if one is None or two is None or first == second:
        return None
    if one == two or two in SHARED.get(one, ()):
        return two
    return one if one in SHARED.get(two, ()) else None


def meant(currency: str, declared: str | None) -> str:
    """Return the code that a shared sign means where the account declares one of those it may be.

    >>> meant("$", "CAD"), meant("$", "SEK"), meant("EUR", "CAD")
    ('CAD', '$', 'EUR')
    """
    return declared if declared and declared in SHARED.get(currency, ()) else currency


def all_meant(stated: pl.Series, declared: str | None) -> pl.Series:
    """Return currencies with what shared signs mean, as `meant` does for one."""
    signs = {sign: meant(sign, declared) for sign in SHARED}
    changed = {sign: code for sign, code in signs.items() if sign != code}
    return stated.replace(changed) if changed else stated


def is_code(text: str) -> bool:
    """Return whether this is a currency's code by ISO 4217."""
    return text in CODES


@dataclass(slots=True)
class Stated:
    """Which currencies the amounts of one column state, and how many of each, with the first."""

    column: str
    heading: str
    protected: bool
    declared: str | None
    found: dict[str, Sightings] = field(default_factory=dict)
    dashes: Sightings = field(default_factory=Sightings)

    def add(self, stated: pl.Series | None, values: pl.Series, row_numbers: pl.Series) -> None:
        """Take in the currencies of one batch of amounts, null where one states none."""
        if stated is None:
            return
        dashes = stated.is_not_null() & ~values.str.contains(r"\p{Nd}")
        self.dashes.add(dashes, values, row_numbers)
        self.count(stated, row_numbers)

    def count(self, stated: pl.Series, row_numbers: pl.Series) -> None:
        """Count the currencies of amounts."""
        for currency in stated.unique().drop_nulls().sort():
            sightings = self.found.setdefault(meant(currency, self.declared), Sightings())
            sightings.add(stated == currency, stated, row_numbers)

    @property
    def one(self) -> str | None:
        """The currency that all of them may be, if there is one."""
        codes = [currency for currency in self.found if currency not in SHARED]
        whole = next(iter(codes or self.found), None)
        return whole if whole and all(_agrees(some, whole) for some in self.found) else None

    def codes_of_signs(self) -> list[str]:
        """Return the codes by any of which, declared, all amounts would be in one currency."""
        if self.declared is not None:
            return []
        codes = sorted({code for sign in self.found for code in SHARED.get(sign, ())})
        return [code for code in codes if len({meant(one, code) for one in self.found}) == 1]

    def __str__(self) -> str:
        return ", ".join(
            f"{currency} in {seen.count:,} (the first"
            f"{'' if seen.value == currency else f', {seen.value!r},'} in row {seen.row_number})"
            for currency, seen in self.found.items()
        )

    def of_dashes(self) -> Evidence:
        """Return that a dash with a currency is an amount, of which any has to be seen."""
        first, others = self.dashes, self.dashes.count - 1
        value = "one" if self.protected else repr(first.value)
        like = f", like {others:,} more" if others else ""
        return Evidence(
            subject=f"a dash in {self.heading}",
            decision="0",
            because=f"{value} in row {first.row_number}{like}, states a currency, as the format of "
            "accounts in a spreadsheet writes 0",
        )

    def evidence(self) -> Evidence:
        """Return what becomes of the currency where the feed has no column for it."""
        return Evidence(
            subject=f"currency of {self.heading}",
            decision=str(self.one),
            because=f"amounts state {self}; the feed has no column for it, and stores them without",
        )


def _agrees(currency: str, whole: str) -> bool:
    """Return whether what an amount states may be this currency; a bare `$` is that of the US."""
    return currency == whole or whole in ({"USD"} if currency == "$" else SHARED.get(currency, ()))


def reconciled(stated: list[pl.Series]) -> tuple[pl.Series, list[pl.Series]]:
    """Return the currency of each row, and for each column in which rows it states another one.

    `stated` has the currencies that the columns of a row state, null where one states none; the
    first in the row is the row's. A bare `$` beside USD, or `kr` beside one of its codes, is that.
    """
    frame = pl.DataFrame([one.alias(str(position)) for position, one in enumerate(stated)])
    names = frame.columns
    whole = frame.select(pl.coalesce(pl.all()).alias("whole"))["whole"]
    if not any((one != whole).any() for one in stated):
        return whole, [whole.is_null() & False] * len(stated)
    combinations = frame.unique()
    made = [_whole(row) for row in combinations.iter_rows()]
    others = [f"not {name}" for name in names]
    found = combinations.hstack(
        pl.DataFrame(made, schema=dict.fromkeys(["whole", *others], pl.String), orient="row")
    )
    rows = frame.join(found, on=names, how="left", nulls_equal=True, maintain_order="left")
    return rows["whole"], [rows[name].is_not_null() for name in others]


def disagreeing(stated: pl.Series, told: list[pl.Series]) -> pl.Series:
    """Return where an amount states another currency than each that other columns tell.

    A sign of several currencies, such as `$`, is any of them.
    """
    frame = pl.DataFrame([one.alias(str(at)) for at, one in enumerate((stated, *told))])
    combinations = frame.unique()
    differ = [
        bool(one and any(others) and not {one, *SHARED.get(one, ())}.intersection(others))
        for one, *others in combinations.iter_rows()
    ]
    found = combinations.with_columns(pl.Series("differ", differ, dtype=pl.Boolean))
    rows = frame.join(found, on=frame.columns, how="left", nulls_equal=True, maintain_order="left")
    return rows["differ"]


def _whole(row: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """Return the currency of a row, and those that disagree with it in their places."""
    known = [currency for currency in row if currency]
    whole = next((currency for currency in known if currency not in SHARED), None)
    whole = whole or next(iter(known), None)
    agreed = [not one or whole is None or _agrees(one, whole) for one in row]
    return whole, *(None if fine else one for one, fine in zip(row, agreed, strict=True))


def _reduced(text: str) -> str:
    """Return a word without case, blanks and stops."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return "".join(folded.replace(".", "").split())


def _named(word: str) -> str | None:
    """Return the currency of this name, "" if there is no name."""
    if word.upper() in CODES:
        return word.upper()
    return _FOLDED.get(word) if word else ""


_FOLDED = {_reduced(name): currency for name, currency in _NAMES.items()}
