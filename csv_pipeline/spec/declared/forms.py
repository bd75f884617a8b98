"""The forms in which a feed can be written."""

from collections.abc import Iterator
from typing import Any

from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.declared.emitting import yaml_of
from csv_pipeline.spec.declared.odcs import contract_of
from csv_pipeline.spec.declared.policies import policy_name
from csv_pipeline.spec.declared.writing import left_out, table_schema
from csv_pipeline.spec.feed import Feed


def written(feed: Feed, form: str) -> str:
    """Return a feed as `table-schema`, `odcs` or `markdown`."""
    if form == "markdown":
        return "\n".join(_page(feed)) + "\n"
    made = table_schema(feed)
    text = yaml_of(made if form == "table-schema" else contract_of(made, feed))
    code = ", ".join(left_out(feed))
    return f"# Not in this file, because it is Python: {code}\n{text}" if code else text


def _page(feed: Feed) -> Iterator[str]:
    yield f"# {feed.name}"
    yield ""
    yield _cell(feed.description)
    yield ""
    key = ", ".join(f"`{name}`" for name in feed.key) or "what a row holds"
    policy = policy_name(type(feed.conflict)).replace("_", " ")
    yield f"Table `data.{feed.name}`. Key within an account: {key}. If that is stored: {policy}."
    if code := left_out(feed):
        yield ""
        yield f"Besides, in Python: {', '.join(f'`{name}`' for name in code)}."
    yield ""
    yield "| column | kind | needed | a value is | names in headers | what it holds |"
    yield "|---|---|---|---|---|---|"
    for column in feed.columns:
        yield f"| {' | '.join(map(_cell, _cells(column, feed)))} |"


def _cells(column: Column, feed: Feed) -> tuple[Any, ...]:
    needed = column.name in feed.key or not (column.nullable or column.substitute is not None)
    personal = "Personal data. " if column.protected else ""
    return (
        f"`{column.name}`",
        column.kind.value,
        "yes" if needed else "",
        column.asked,
        "" if column.derived else ", ".join((*column.aliases, column.name)),
        f"{personal}{column.description}",
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
