"""What spreadsheets do to values: errors in the place of results, and ids made numbers.

A formula that fails leaves `#REF!`, a column too narrow for its numbers leaves `####`; an id of
digits becomes `4.51E+12`, and one of more than 15 digits ends in zeros. None of that can be taken
back. What guards a text from it, `="00417"`, can.
"""

import polars as pl

_ERRORS = (
    # Microsoft's, by the language of the program; support.microsoft.com, "Error values"
    "#REF! #VALUE! #NAME? #DIV/0! #NUM! #NULL! #SPILL! #CALC! #FIELD! #BLOCKED! #CONNECT! #BUSY! "
    "#UNKNOWN! #GETTING_DATA #ERROR! #EXTERNAL! #PYTHON! "
    "#BEZUG! #WERT! #ZAHL! #ÜBERLAUF! #KALK! "
    "#VALEUR! #NOM? #NOMBRE! #NUL! #PROPAGATION! "
    "#¡REF! #¡VALOR! #¿NOMBRE? #¡DIV/0! #¡NUM! #¡NULO! "
    "#VALOR! #NOME? #NÚM! #NULO! "
    "#RIF! #VALORE! #NULLO! "
    "#VERW! #WAARDE! #NAAM? #GETAL! #DEEL/0! #LEEG! "
    "#ADR! #ARG! #NAZWA? #LICZBA! #DZIEL/0! #ZERO! "
    "#REFERENS! #VÄRDEFEL! #NAMN? #OGILTIGT! #DIVISION/0! #SKÄRNING! "
    "#REFERENCE! #VÆRDI! #NAVN? #VERDI! "
    "#ODKAZ! #HODNOTA! #NÁZEV? #ČÍSLO! #DĚLENÍ_NULOU! "
    "#HIV! #ÉRTÉK! #NÉV? #SZÁM! #ZÉRÓOSZTÓ! "
    "#ССЫЛКА! #ЗНАЧ! #ИМЯ? #ЧИСЛО! #ДЕЛ/0! #ПУСТО! "
    "#BAŞV! #DEĞER! #AD? #SAYI! #SAYI/0! #BOŞ!"
)
_NOT_AVAILABLE = (
    "#N/A #N/A! #NV #N/D #N/D! #N/B #I/T #Н/Д #YOK #SAKNAS! #HIÁNYZIK "  # noqa: RUF001  # Cyrillic
    "#NENÍ_K_DISPOZICI"
)
ERRORS = frozenset(_ERRORS.split())
NOT_AVAILABLE = frozenset(_NOT_AVAILABLE.split())
"""What a look-up that finds nothing leaves; where a column is not text it is no value."""

_CODE = r"^(?:#{4,}|Err:5\d\d)$"  # a column too narrow; an error of LibreOffice Calc
_NUMBER = r"^[+-]?[0-9]{1,3}(?:[.,][0-9]+[Ee][+-]?|[Ee][+])[0-9]{1,3}$"
GUARDED = r'^="((?:[^"]|"")*)"$'
ERROR_HINT = "a value; this is an error of the spreadsheet that the file comes from"
NUMBER_HINT = "an id as it was before a spreadsheet made a number of it"


def may_be(value: pl.Expr) -> pl.Expr:
    """Return whether a text may be an error or a guarded one; quickly asked of all texts.

    What begins with `#` is less than `$`, and so are few others, such as the empty text; to compare
    is quicker than to look at the beginning.
    """
    return (value < "$") | value.str.starts_with("=") | value.str.starts_with("Err:")


def unguarded(value: pl.Expr) -> pl.Expr:
    """Return the text that a formula guards, trimmed: `00417` of `="00417"`."""
    inner = value.str.extract(GUARDED).str.replace_all('""', '"', literal=True).str.strip_chars()
    return pl.when(value.str.starts_with('="')).then(inner.fill_null(value)).otherwise(value)


def is_error(values: pl.Series) -> pl.Series:
    """Return where a text is an error of a spreadsheet; `#1 seller` and `#sale` are none."""
    found = values.is_in(sorted(ERRORS | NOT_AVAILABLE)) | values.str.contains(_CODE)
    return found.fill_null(value=False)


def is_number(values: pl.Series) -> pl.Series:
    """Return where a text is an id that has become a number, such as `4.51E+12` or `1,2E+15`."""
    return values.str.contains(_NUMBER).fill_null(value=False)
