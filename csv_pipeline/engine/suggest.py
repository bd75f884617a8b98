"""Suggest settings of an account by what an import has rejected or why it was refused.

Nothing is applied: each suggestion is a question with the command that answers it by yes. Values of
protected columns are not looked at.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import polars as pl
import sqlalchemy as sa

from csv_pipeline.account import Account, Declaration, Setting, account_command
from csv_pipeline.casts.by_kind import CASTS
from csv_pipeline.casts.moments import moments_of, reading
from csv_pipeline.casts.reading import Reading
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import ImportReport
from csv_pipeline.spec.contract import Column, choice_key
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.header import (
    extras_in,
    header_fingerprint,
    layout_of,
    likeliest,
    missing_columns,
    sources_in,
    title,
)
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.storage import accounts, arrivals, imports, quarantine
from csv_pipeline.storage.quarantine import ValueAtFault

_COMMAND = re.compile(
    r"csv-pipeline account .+?(?= or csv-pipeline|, csv-pipeline|; |$)", re.DOTALL
)
_OPTIONS = {one.fact: one.value for one in Declaration} | {
    "null_words": "null-word",
    "aliases": "alias",
    "maps": "map",
}
_SHORT = 20  # characters of a word for no value
_COPIED = 500  # of what is told by a command at most
_MEANINGS = (
    "shipped sent dispatched despatched versendet versandt verschickt expédié envoyé enviado "
    "spedito verzonden",
    "not_shipped unshipped nicht_versendet nicht_versandt non_expédié no_enviado",
    "delivered completed complete zugestellt geliefert livré entregado consegnato geleverd",
    "cancelled canceled storniert abgebrochen annulé cancelado annullato geannuleerd",
    "returned retourniert zurückgesendet zurückgegeben retourné devuelto reso geretourneerd",
    "pending open awaiting ausstehend offen en_attente pendiente in_attesa in_afwachting",
    "processing in_bearbeitung en_cours en_proceso in_lavorazione in_behandeling",
    "paid bezahlt payé pagado pagato betaald",
    "refunded erstattet remboursé reembolsado rimborsato terugbetaald",
    "failed fehlgeschlagen échoué fallido fallito mislukt",
    "sold verkauft vendu vendido venduto verkocht",
    "rented vermietet loué alquilado noleggiato verhuurd",
    "in_stock auf_lager lagernd en_stock in_magazzino op_voorraad",
    "in_repair in_reparatur en_réparation en_reparación in_riparazione in_reparatie",
    "retired ausgemustert hors_service dado_de_baja",
    "true yes y x on ja oui si sí vero wahr active aktiv actif activo",
    "false no n off nein non nee falsch inactive inaktiv inactif inactivo",
)
"""Words that mean the same, as `choice_key` reduces them."""
_NO_VALUE = (
    "none nil nan unknown unbekannt inconnu desconocido sconosciuto onbekend k.a. k._a. n.v. n.k. "
    "n/k n/d s/d tbd tba ? ?? x . leer keine keine_angabe empty blank missing not_available "
    "nicht_verfügbar"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What may be meant, of how many values or rows, and what to declare if it is.

    `declares` is the setting with its value as a person writes it, `command` the same for a
    terminal. Without them only a person knows what is meant. `column` and `word` are the cells that
    it is about.
    """

    question: str
    command: str | None
    count: int = 1
    declares: Setting | None = None
    column: str | None = None
    word: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """An import, refused or not, where its file is, and what may be meant in it."""

    report: ImportReport
    location: str
    found: tuple[Suggestion, ...]


def suggest(pipeline: Pipeline, import_id: int) -> Suggestions:
    """Return the settings that may be what the file of an import lacked.

    Raises:
        UnknownImportError: The ledger has no such import.
    """
    with pipeline.database.begin() as connection:
        report = imports.report_of(connection, import_id)
        location = arrivals.location(connection, report.arrival_id)
        found = of_report(connection, pipeline, report)
    return Suggestions(report=report, location=location, found=found)


def of_report(
    connection: sa.Connection, pipeline: Pipeline, report: ImportReport
) -> tuple[Suggestion, ...]:
    """Return the settings that may be what a file lacked; its faults are stored by its number."""
    faults = quarantine.values_at_fault(connection, report.import_id)
    declared = accounts.declared(connection, report.account, report.feed)
    plain = pipeline.feed(report.feed)
    account = declared.of(header_fingerprint(report.header, plain.name))
    desk = _Desk(report, as_declared(plain, account), account)
    return (*desk.of_refusal(), *desk.missing(), *desk.aliases(), *desk.of_values(faults))


@dataclass(frozen=True, slots=True)
class _Desk:
    """An import, its feed as the account declares it by now, and what that declares."""

    report: ImportReport
    feed: Feed
    account: Account

    def of_refusal(self) -> Iterator[Suggestion]:
        """Give the commands that the refusal itself names."""
        problem = self.report.problem or ""
        for command in dict.fromkeys(_COMMAND.findall(problem)):
            said = problem.partition("csv-pipeline account")[0].rpartition("; ")[0]
            yield Suggestion(
                question=said.removeprefix(f"{self.report.name}: "),
                command=command,
                declares=_declared_by(command),
            )

    def missing(self) -> Iterator[Suggestion]:
        """Ask which name is that of a column which the file was refused for and no name is like."""
        sources, _ = sources_in(self.report.header, self.feed)
        if not sources or self.report.problem_code != "missing_column":
            return
        names = tuple(extras_in(self.report.header, sources.values()))
        lacking = missing_columns(sources, layout_of(sources, self.feed), self.feed)
        told = likeliest({title(column): column.headings for column in lacking}, names)
        for column in lacking if names else ():
            if title(column) not in told:
                shown = ", ".join(map(repr, names))
                command = self._command("aliases", f"NAME={column.name}")
                said = f"no name is like {title(column)!r}: is it {shown}? Then {command}"
                yield Suggestion(question=said, command=None)

    def aliases(self) -> Iterator[Suggestion]:
        """Give names that the feed does not know and that are like a column that the file lacks."""
        sources, _ = sources_in(self.report.header, self.feed)
        if not sources or self.report.problem_code == "missing_column":
            return  # what is no header may be anybody's data; and a refusal has said it
        lacking = {
            title(column): column
            for column in self.feed.columns
            if not (column.derived or column.local_of) and column.name not in sources
        }
        added = tuple(extras_in(self.report.header, sources.values()))
        headings = {name: column.headings for name, column in lacking.items()}
        for name, known in likeliest(headings, added).items():
            column = lacking[name]
            yield self._suggestion(
                f"column {known!r} is not known: {column.name} ({name!r})?",
                "aliases",
                f"{known}={column.name}",
            )

    def of_values(self, faults: Sequence[ValueAtFault]) -> Iterator[Suggestion]:
        """Give what values may mean that are none of their column, the most frequent first."""
        columns = {column.name: column for column in self.feed.columns if not column.protected}
        null_words: set[str] = set()
        for fault in faults:
            column = columns.get(fault.column)
            if column is None or fault.rule != f"{column.name}.{CASTS[column.kind].rule}":
                continue
            if _is_no_value(fault, column):
                if (word := fault.value.casefold()) not in null_words:
                    null_words.add(word)
                    yield self._null_word(fault)
            elif column.choices:
                yield self._word(fault, column)
        yield from self._styles(faults, columns)

    def _null_word(self, fault: ValueAtFault) -> Suggestion:
        question = f"{fault.column} {fault.value!r} ×{fault.count:,}: no value?"
        return self._suggestion(question, "null_words", fault.value, fault)

    def _word(self, fault: ValueAtFault, column: Column) -> Suggestion:
        unknown = f"unknown {column.name} {fault.value!r} ×{fault.count:,}"
        likely = _likely(fault.value, column)
        if likely is None:
            words = ", ".join(dict.fromkeys(column.choices.values()))
            return Suggestion(
                question=f"{unknown}: one of {words}?",
                command=None,
                count=fault.count,
                column=column.name,
                word=fault.value,
            )
        told = f"{column.name}:{fault.value}={likely}"
        return self._suggestion(f"{unknown}: {likely}?", "maps", told, fault)

    def _styles(
        self, faults: Sequence[ValueAtFault], columns: dict[str, Column]
    ) -> Iterator[Suggestion]:
        """Give the other day order or decimal mark than declared, if it reads all that failed."""
        for name, column in columns.items():
            cast = CASTS[column.kind]
            own = [f for f in faults if f.rule == f"{name}.{cast.rule}"]
            if not own or cast.declared is None:
                continue
            fact, styles = cast.declared
            setting = self.account.setting(fact)
            values = pl.Series(name, [fault.value for fault in own])
            for style in styles if setting.value is not None else ():
                how = self._reading(column, style)
                if style != setting.value and cast.values(values, column, how).null_count() == 0:
                    count = sum(fault.count for fault in own)
                    said = f"{name} {own[0].value!r} ×{count:,}: {style}, not {setting.value}?"
                    yield Suggestion(
                        question=said,
                        command=setting.declare(style),
                        count=count,
                        declares=replace(setting, value=style),
                        column=name,
                    )

    def _reading(self, column: Column, style: str) -> Reading:
        sources, _ = sources_in(self.report.header, self.feed)
        headings = {name: self.report.header[at] for name, at in sources.items()}
        if column.kind not in {Kind.DATE, Kind.TIMESTAMP}:
            return Reading(style)
        for one in moments_of(self.feed.columns, sources, headings):
            if column in one.columns:
                styles = {**self.report.styles, one.columns[0].name: style}
                return reading(column, one, styles)
        return Reading(style)

    def _suggestion(
        self, question: str, fact: str, told: str, fault: ValueAtFault | None = None
    ) -> Suggestion:
        """Return a suggestion of one more alias, map or null word for files of the feed."""
        return Suggestion(
            question=question,
            command=self._command(fact, told),
            count=fault.count if fault else 1,
            declares=Setting(
                account=self.account.account, feed=self.feed.name, name=fact, value=told
            ),
            column=fault.column if fault else None,
            word=fault.value if fault else None,
        )

    def _command(self, fact: str, told: str) -> str | None:
        """Return the command for a setting; None if it cannot be copied from a terminal."""
        if fact != "null_words":  # which a blank of another kind would not be
            told = " ".join(told.split())
        if not told.isprintable() or len(told) > _COPIED:
            return None
        command = account_command(self.account.account, self.feed.name)
        return f"{command} --{_OPTIONS[fact]} {shlex.quote(told)}"


def _declared_by(command: str) -> Setting | None:
    """Return the setting that a refusal names by its command, of which it keeps only the text.

    >>> _declared_by("csv-pipeline account acme --feed people --delimiter semicolon").value
    'semicolon'
    """
    words = shlex.split(command)
    told = dict(zip(words[3::2], words[4::2], strict=False))
    scope = {name: told.pop(f"--{name}", "") for name in ("feed", "header")}
    facts = {f"--{option}": fact for fact, option in _OPTIONS.items()}
    if len(told) != 1 or not told.keys() <= facts.keys():
        return None
    ((option, value),) = told.items()
    return Setting(account=words[2], name=facts[option], value=value, **scope)


def _is_no_value(fault: ValueAtFault, column: Column) -> bool:
    """Return whether a text that is no value of its column is likely to mean that there is none."""
    if not column.nullable or len(fault.value) > _SHORT:
        return False
    word = choice_key(fault.value)
    if column.choices and _likely(fault.value, column) is not None:
        return False
    repeats = fault.count > 1 and not column.choices and not re.search(r"\d", fault.value)
    return word in _NO_VALUE.split() or repeats


def _likely(word: str, column: Column) -> str | None:
    """Return what a column stores for the accepted word that another one is likely to mean."""
    key, known = choice_key(word), {choice_key(one): its for one, its in column.choices.items()}
    for meaning in _MEANINGS:
        same = meaning.split()
        if key in same and (found := next((one for one in same if one in known), None)):
            return known[found]
    alike = get_close_matches(key, list(known), n=1, cutoff=0.75)
    return known[alike[0]] if alike else None
