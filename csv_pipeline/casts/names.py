"""Names of months and weekdays as exports of many countries write them.

English, German, French, Spanish, Italian, Portuguese, Dutch, Danish, Norwegian, Swedish, Finnish,
Polish, Czech and Russian, in full, inflected and short, as the locale data of Unicode (CLDR) has
them, plus the spellings without accents. No month's name is that of another in any of these.
"""

import polars as pl

_MONTHS = (
    "jan january januar jän jänner janv janvier ene enero gen gennaio janeiro januari tammi "
    "tammikuu "
    "tammikuuta sty styczeń stycznia led leden ledna янв январь января",
    "feb february februar févr fevr février fevrier febrero febbraio fev fevereiro februari helmi "
    "helmikuu helmikuuta lut luty lutego úno únor února фев февр февраль февраля",
    "mar march mär märz mrz mars marzo março marco mrt maart marts maalis maaliskuu maaliskuuta "
    "marzec marca bře březen března мар март марта",
    "apr april avr avril abr abril aprile huhti huhtikuu huhtikuuta kwi kwiecień kwietnia dub "
    "duben "
    "dubna апр апрель апреля",
    "may mai mayo mag maggio maio mei maj maja touko toukokuu toukokuuta kvě květen května май мая",
    "jun june juni juin junio giu giugno junho kesä kesäkuu kesäkuuta cze czerwiec czerwca čvn "
    "červen června июн июнь июня",
    "jul july juli juil juillet julio lug luglio julho heinä heinäkuu heinäkuuta lip lipiec lipca "
    "čvc červenec července июл июль июля",
    "aug august aoû août aout ago agosto augustus augusti elo elokuu elokuuta sie sierpień "
    "sierpnia "
    "srp srpen srpna авг август августа",
    "sep sept september septembre septiembre setiembre set settembre setembro syys syyskuu "
    "syyskuuta "
    "wrz wrzesień września zář září сен сент сентябрь сентября",
    "oct october okt oktober octobre octubre ott ottobre out outubro loka lokakuu lokakuuta paź "
    "październik października říj říjen října окт октябрь октября",
    "nov november novembre noviembre novembro marras marraskuu marraskuuta lis listopad listopada "
    "listopadu ноя нояб ноябрь ноября",
    "dec december dez dezember déc décembre decembre dic diciembre dicembre dezembro des desember "
    "joulu joulukuu joulukuuta gru grudzień grudnia pro prosinec prosince дек декабрь декабря",
)
_WEEKDAYS = (
    "mon monday mo montag lun lundi lunes lunedì lunedi seg segunda segunda-feira ma maandag man "
    "mandag mån måndag maanantai pn pon poniedziałek po pondělí пн понедельник",
    "tue tues tuesday tu di die dienstag mar mardi martes martedì martedi ter terça terça-feira "
    "dinsdag tir tirs tirsdag tis tisdag ti tiistai wt wtorek út úterý вт вторник",
    "wed wednesday we mi mittwoch mer mercredi mié mie miércoles miercoles mercoledì mercoledi qua "
    "quarta quarta-feira wo woensdag ons onsdag ke keskiviikko śr środa st středa ср среда",
    "thu thur thurs thursday th do donnerstag jeu jeudi jue jueves gio giovedì giovedi qui quinta "
    "quinta-feira donderdag tor tors torsdag to torstai cz czw czwartek čt čtvrtek чт четверг",
    "fri friday fr freitag ven vendredi vie viernes venerdì venerdi sex sexta sexta-feira vr "
    "vrijdag "
    "fre fredag pe perjantai pt piątek pá pátek пт пятница",
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


MONTHS = _by_name(_MONTHS)
"""The number of a month by each of its names, in lower case."""

WEEKDAYS = _by_name(_WEEKDAYS)
"""The numbers of a weekday, Monday being 1, by its names: `so` is German for 7 and Czech for 6."""

_MONTH, _WEEKDAY = (
    pl.DataFrame(list(names.items()), schema=["name", "number"], orient="row")
    for names in (MONTHS, WEEKDAYS)
)


def month(names: pl.Expr) -> pl.Expr:
    """Return the number of a month as text, null where a name is none."""
    return names.replace_strict(_MONTH["name"], _MONTH["number"], default=None)


def weekday(names: pl.Expr) -> pl.Expr:
    """Return the numbers that a weekday's name stands for, null where it is none."""
    return names.replace_strict(_WEEKDAY["name"], _WEEKDAY["number"], default=None)
