"""Print the inspection of a file as tables."""

import shlex

from rich.text import Text

from csv_pipeline.account import delimiter_name
from csv_pipeline.cli.show import print_evidence, print_non_data, print_rules, print_warnings
from csv_pipeline.cli.terminal import command, note, out, plain, print_under, table
from csv_pipeline.engine.inspection import Inspection
from csv_pipeline.handover import TextFile

_SHOWN_ROWS = 3


def inspected(found: Inspection) -> None:
    """Print how a file is written, its rows and faults, the feeds it fits."""
    size = f", {found.size_bytes:,} bytes"
    out.print(Text.assemble(plain(found.path.name, 200), size, style="bold"))
    if found.text is None:
        _print_members(found)
        return
    _print_dialect(found, found.text)
    _print_first_rows(found, found.text)
    _print_faults(found, found.text)
    print_warnings(found.text.warnings)
    print_non_data(found.non_data_lines, found.text.non_data_count)
    part = "beginning of the file" if found.unverified else "file"
    print_evidence(f"What the {part} shows", found.evidence)
    _print_proposals(found)
    if found.unverified:
        out.print(Text("Not verified yet; --full reads all of the file", style="bold yellow"))
        for what in found.unverified:
            out.print(Text.assemble("  ", plain(what, 400)))


def note_written(found: Inspection) -> None:
    """Say on stderr what became of the file's records."""
    if found.text is not None:
        rows = found.text.records - found.text.malformed
        rules = ", ".join(f"{rule} {count:,}" for rule, count in found.faults_by_rule)
        rejected = f"{found.text.malformed:,} rejected" + (f": {rules}" if rules else "")
        note(f"{found.out}: {rows:,} rows written, {rejected}")


def _print_members(found: Inspection) -> None:
    made = table("file in the archive", "bytes", right=("bytes",))
    for member in found.members:
        made.add_row(plain(member.name, 200), f"{member.size_bytes:,}")
    out.print(made)
    out.print("An import makes each an arrival of its own. Look into one by --member NAME.")


def _print_dialect(found: Inspection, text: TextFile) -> None:
    written = [
        ("encoding", text.encoding),
        ("delimiter", delimiter_name(text.delimiter)),
        ("quote", (text.quote or "none") + (", \\ escapes" if text.escape == "backslash" else "")),
        ("line ends", found.line_ends),
        ("header", f"line {text.header_line}" if text.header_line else "none"),
        ("columns", f"{len(text.header):,}"),
        ("records", _records(found, text)),
    ]
    for name, value in written:
        out.print(Text.assemble(f"  {name:<10}", plain(value, 200)))


def _records(found: Inspection, text: TextFile) -> str:
    apart = [
        (text.malformed, "rejected"),
        (text.repaired, "repaired"),
        (text.lines.blank, "blank lines"),
        (text.non_data_count, "lines that are no data"),
    ]
    counts = [f"{text.records:,}"] + [f"{count:,} {what}" for count, what in apart if count]
    if not found.unverified:
        return ", ".join(counts)
    about = f"about {found.records_about:,}; " if found.records_about else ""
    return f"{about}of the beginning {', '.join(counts)}"


def _print_first_rows(found: Inspection, text: TextFile) -> None:
    """Print a line a column, because most files are wider than a terminal."""
    rows = found.first_rows[:_SHOWN_ROWS]
    made = table("", "column", *(f"row {row:,}" for row, _ in rows), right=("",))
    for position, name in enumerate(text.header):
        cells = (_cell(values[position]) for _, values in rows)
        made.add_row(str(position + 1), plain(name), *cells)
    print_under("Header and first rows", made)


def _cell(value: str | None) -> Text:
    if value is None:
        return Text("(none)", style="dim")
    return plain(value, 40) if value else Text('""', style="dim")


def _print_faults(found: Inspection, text: TextFile) -> None:
    if not found.faults:
        return
    made = table("row", "line", "rule", "record")
    for fault in found.faults:
        row, line = f"{fault.row_number:,}", f"{fault.line_number:,}"
        made.add_row(row, line, fault.rule, plain(fault.raw, 100))
    print_under(f"The first of {text.malformed:,} faults", made)
    print_rules(found.faults_by_rule)


def _print_proposals(found: Inspection) -> None:
    if not found.proposals:
        out.print("No feed knows any of its columns.")
        return
    made = table("feed", "fits", "names known", "layout", "header", "columns it lacks")
    for one in found.proposals:
        fits = Text("yes", style="green") if one.fits else Text("no", style="yellow")
        known = f"{one.fit.known} ({one.share:.0%})"
        header = f"line {one.header_line}" + (" (--feed shows it)" if one.only_by_name else "")
        lacks = plain(one.problem or ", ".join(one.fit.missing), 200)
        made.add_row(one.fit.feed, fits, known, one.fit.layout, header, lacks)
    print_under("Feeds that know its columns", made)
    most = found.proposals[0].share
    best = [one.fit.feed for one in found.proposals if one.fits and one.share == most]
    if len(best) > 1:
        out.print(f"{len(best)} feeds fit alike: only you know which of them it is for.")
    for feed in best:
        call = f"{command()} import {shlex.quote(str(found.path))} --account ACCOUNT --feed {feed}"
        out.print(Text(f"Import it: {call}"), soft_wrap=True)
