"""Show what accounts declare of their files, since when, and what they may declare besides."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.text import Text

from csv_pipeline.account import Version, delimiter_name
from csv_pipeline.cli.terminal import command, labelled, out, plain, print_under, table
from csv_pipeline.engine.suggest import Suggestions
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage.arrivals import Backlog


def accounts(
    names: Sequence[str],
    versions: Iterable[Version],
    waiting: Sequence[Backlog],
    readers: Mapping[str, Sequence[str]],
) -> None:
    """Print the accounts with what they declare, and the roles that may read each alone."""
    if not names:
        out.print(
            f"No accounts yet. One is made by its first file, or by {command()} account NAME."
        )
        return
    said: dict[str, list[str]] = {}
    for one in versions:
        if settings := _in_words(one):
            of = f"{one.facts.feed}: " if one.facts.feed else ""
            said.setdefault(one.facts.account, []).append(of + settings)
    made = table("account", "settings", "readers", "files waiting")
    for name in names:
        files = sum(len(lane.arrival_ids) for lane in waiting if lane.account == name)
        declared = plain("; ".join(said.get(name, ())), 2_000)
        made.add_row(name, declared, plain(", ".join(readers.get(name, ())), 200), f"{files or ''}")
    out.print(made)


def readers(roles: Sequence[str]) -> None:
    """Print the roles that may read an account and no other."""
    out.print(labelled("Readers", plain(", ".join(roles) or "none", 2_000)))


def folders(names: Sequence[str]) -> None:
    """Print the folders that are an account's besides the one of its name."""
    out.print(labelled("Folders", plain(", ".join(map(repr, names)), 2_000)))


def settings(title: str, held: Iterable[tuple[Version, str, Any]]) -> None:
    """Print settings, a line each, with the files that they are for and the change they are of."""
    made = table("setting", "value", "for", "since (UTC)", "by", "version", right=("version",))
    for one, name, value in held:
        made.add_row(name.replace("_", " "), plain(_shown(name, value), 2_000), *_of(one))
    if made.row_count:
        print_under(title, made)
    else:
        out.print(f"{title}: none; the files decide")


def history(title: str, versions: Iterable[Version]) -> None:
    """Print each change, the newest first, with all that holds in its scope since."""
    made = table("settings", "for", "since (UTC)", "by", "version", right=("version",))
    for one in versions:
        made.add_row(plain(_in_words(one) or "none", 2_000), *_of(one))
    print_under(title, made)


def _in_words(one: Version) -> str:
    settings = one.facts.declared().items()
    return "; ".join(f"{name.replace('_', ' ')} {_shown(name, its)}" for name, its in settings)


def suggestions(some: Suggestions) -> None:
    """Print what may be meant in a file, each with the command for it; nothing is applied."""
    report = some.report
    if not some.found:
        _nothing_suggested(report)
        return
    out.print(labelled(f"Import {report.import_id}", plain(report.name, 200)))
    for question, ways in groupby(some.found, key=lambda one: one.question):
        out.print(plain(question, 1_000), soft_wrap=True)
        for command_ in (one.command for one in ways if one.command is not None):
            its = command_.replace("csv-pipeline", command(), 1)
            out.print(Text.assemble("  ", plain(its, 1_000)), soft_wrap=True)
    number = report.import_id
    file = shlex.quote(some.location)
    again = f"{command()} import {file} --account {report.account} --feed {report.feed}"
    rows = f"{command()} rejects {number} --out FILE, then {command()} replay FILE"
    out.print(f"Afterwards: {again if report.outcome is Outcome.REFUSED else rows}", soft_wrap=True)


def _nothing_suggested(report: ImportReport) -> None:
    number = report.import_id
    out.print(f"Nothing to suggest for import {number}.")
    if report.outcome in {Outcome.REFUSED, Outcome.FAILED}:
        out.print(Text.assemble("Why: ", plain(report.problem or "", 2_000)), soft_wrap=True)
        out.print(
            f"Correct the file and import it, or: {command()} dismiss {number}", soft_wrap=True
        )


def _of(one: Version) -> tuple[Any, ...]:
    feed = f"feed {one.facts.feed}" if one.facts.feed else "all feeds"
    header = f", header {one.facts.header}" if one.facts.header else ""
    by = plain(one.declared_by)
    return feed + header, f"{one.declared_at:%Y-%m-%d %H:%M}", by, str(one.version)


def _shown(name: str, value: Any) -> str:
    match name:
        case "aliases":
            return ", ".join(f"{title!r} = {column}" for title, column in value)
        case "maps":
            return ", ".join(f"{column}: {word!r} = {stored}" for column, word, stored in value)
        case "null_words":
            return ", ".join(map(repr, value))
        case "delimiter":
            return delimiter_name(value)
        case _:
            return f"{value:,}" if isinstance(value, int) else str(value)


def tokens(found: Sequence[Mapping[str, Any]]) -> None:
    """Print tokens, the newest first."""
    made = table("token", "name", "account", "allows", "valid until (UTC)", right=("token",))
    for one in found:
        until = (one["expires_at"] or "for ever")[:16].replace("T", " ")
        made.add_row(
            str(one["token_id"]),
            plain(one["name"], 80),
            one["account"] or "all",
            ", ".join(one["scopes"]),
            "revoked" if one["revoked_at"] else until,
        )
    out.print(made)


def webhooks(found: Sequence[Mapping[str, Any]]) -> None:
    """Print alerts and webhooks; what they were not told since when is in `status`."""
    made = table("number", "sends", "to", "account", "of", "not taken", right=("number",))
    for one in found:
        failed = f"{one['attempts']} times: {one['problem']}" if one["attempts"] else ""
        made.add_row(
            str(one["number"]),
            one["sends"],
            plain(one["to"], 200),
            one["account"] or "all",
            ", ".join(one["kinds"]),
            plain(failed, 200),
        )
    out.print(made)
