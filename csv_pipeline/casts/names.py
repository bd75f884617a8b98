"""Names of months and weekdays as exports of many countries write them.

English, German, French, Spanish, Italian, Portuguese, Dutch, Danish, Norwegian, Swedish, Finnish,
Polish, Czech, Croatian and Russian, in full, inflected and short, as the locale data of Unicode
(CLDR) has them, plus the spellings without accents. Polish, Czech and Croatian have names in common
that are of different months: `lip` is July in Polish and June in Croatian.
"""

from collections.abc import Collection

import polars as pl

_LANGUAGES = {
    "Polish": (
        "sty styczeń stycznia", "lut luty lutego", "mar marzec marca", "kwi kwiecień kwietnia",
        "maj maja", "cze czerwiec czerwca", "lip lipiec lipca", "sie sierpień sierpnia",
        "wrz wrzesień września", "paź październik października", "lis listopad listopada",
        "gru grudzień grudnia",
    ),
    "Czech": (
        "led leden ledna", "úno únor února", "bře březen března", "dub duben dubna",
        "kvě květen května", "čvn červen června", "čvc červenec července", "srp srpen srpna",
        "zář září", "říj říjen října", "lis listopad listopadu", "pro prosinec prosince",
    ),
    "Croatian": (
        "sij siječanj siječnja", "velj velja veljača veljače", "ožu ožujak ožujka",
        "tra travanj travnja", "svi svibanj svibnja", "lip lipanj lipnja", "srp srpanj srpnja",
        "kol kolovoz kolovoza", "ruj rujan rujna", "lis listopad listopada",
        "stu studeni studenog studenoga", "pro prosinac prosinca",
    ),
}  # fmt: skip
_MONTHS = (
    "jan january januar jän jänner janv janvier ene enero gen gennaio janeiro januari tammi "
    "tammikuu tammikuuta янв январь января",
    "feb february februar févr fevr février fevrier febrero febbraio fev fevereiro februari helmi "
    "helmikuu helmikuuta фев февр февраль февраля",
    "mar march mär märz mrz mars marzo março marco mrt maart marts maalis maaliskuu maaliskuuta "
    "мар март марта",
    "apr april avr avril abr abril aprile huhti huhtikuu huhtikuuta апр апрель апреля",
    "may mai mayo mag maggio maio mei maj touko toukokuu toukokuuta май мая",
    "jun june juni juin junio giu giugno junho kesä kesäkuu kesäkuuta июн июнь июня",
    "jul july juli juil juillet julio lug luglio julho heinä heinäkuu heinäkuuta июл июль июля",
    "aug august aoû août aout ago agosto augustus augusti elo elokuu elokuuta авг август августа",
    "sep sept september septembre septiembre setiembre set settembre setembro syys syyskuu "
    "syyskuuta сен сент сентябрь сентября",
    "oct october okt oktober octobre octubre ott ottobre out outubro loka lokakuu lokakuuta окт "
    "октябрь октября",
    "nov november novembre noviembre novembro marras marraskuu marraskuuta ноя нояб ноябрь ноября",
    "dec december dez dezember déc décembre decembre dic diciembre dicembre dezembro des desember "
    "joulu joulukuu joulukuuta дек декабрь декабря",
)
_WEEKDAYS = (
    "mon monday mo montag lun lundi lunes lunedì lunedi seg segunda segunda-feira ma maandag man "
    "mandag mån måndag maanantai pn pon poniedziałek po pondělí пн понедельник",
    "tue tues tuesday tu di die dienstag mar mardi martes martedì martedi ter terça terça-feira "
    "dinsdag tir tirs tirsdag tis tisdag ti tiistai wt wtorek út úterý вт вторник",
    "wed wednesday we mi mittwoch mer mercredi mié mie miércoles miercoles mercoledì mercoledi "
    "qua quarta quarta-feira wo woensdag ons onsdag ke keskiviikko śr środa st středa ср среда",
    "thu thur thurs thursday th do donnerstag jeu jeudi jue jueves gio giovedì giovedi qui quinta "
    "quinta-feira donderdag tor tors torsdag to torstai cz czw czwartek čt čtvrtek чт четверг",
    "fri friday fr freitag ven vendredi vie viernes venerdì venerdi sex sexta sexta-feira vr "
    "vrijdag fre fredag pe perjantai pt piątek pá pátek пт пятница",
    "sat saturday sa samstag sonnabend sam samedi sáb sab sábado sabado sabato za zaterdag lør "
    "lørdag lör lördag la lauantai so sob sobota сб суббота",
    "sun sunday su so sonntag dim dimanche dom domingo domenica zo zondag søn søndag sön söndag "
    "sunnuntai nd niedz niedziela ne neděle вс воскресенье",
)


def _by_name(groups: tuple[str, ...]) -> dict[str, str]:
    """Return each name with the numbers, from 1, of the groups that have it."""
    found: dict[str, str] = {}
    for number, names in enumerate(groups, 1):
        for name in names.split():
            separator = "," if name in found else ""
            found[name] = f"{found.get(name, '')}{separator}{number}"
    return found


_BY_LANGUAGE = {language: _by_name(groups) for language, groups in _LANGUAGES.items()}
_ALL = _by_name(_MONTHS)
for _names in _BY_LANGUAGE.values():
    for _name, _number in _names.items():
        _ALL[_name] = ",".join(sorted({*_ALL.get(_name, _number).split(","), _number}))
MONTHS = {name: number for name, number in _ALL.items() if "," not in number}
"""The number of a month by each of its names, in lower case."""

SHARED = tuple(sorted(_ALL.keys() - MONTHS.keys()))
"""Names of different months, by language."""

WEEKDAYS = _by_name(_WEEKDAYS)
"""The numbers of a weekday, Monday being 1, by its names: `so` is German for 7 and Czech for 6."""


def language_of(words: Collection[str]) -> str | None:
    """Return a language that has all names of months among these words, or None.

    None, too, if several have them and a shared name among these is not the same month in each.

    >>> language_of(["lip", "gru"]), language_of(["lip", "svi"]), language_of(["lip"])
    ('Polish', 'Croatian', None)
    """
    names = _ALL.keys() & set(words)
    found = [language for language, its in _BY_LANGUAGE.items() if names <= its.keys()]
    months = [[_BY_LANGUAGE[one][name] for name in sorted(names & set(SHARED))] for one in found]
    return found[0] if months and all(its == months[0] for its in months) else None


def month(names: pl.Expr, language: str | None = None) -> pl.Expr:
    """Return the number of a month as text, null where a name is none, or one of several."""
    numbers = MONTHS | (_BY_LANGUAGE[language] if language else {})
    return names.replace_strict(numbers, default=None, return_dtype=pl.String)


def weekday(names: pl.Expr) -> pl.Expr:
    """Return the numbers that a weekday's name means, null where it is none."""
    return names.replace_strict(WEEKDAYS, default=None, return_dtype=pl.String)
