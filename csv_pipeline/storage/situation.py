"""What the ledger and the table say of files that are about to be stored.

It is asked once, when the lane's lock was taken: what others stored meanwhile is seen, and nothing
changes until the rows are in.
"""
# ruff: noqa: S608  # the statements are made of this module's own text and a feed's table

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from csv_pipeline.errors import LostClaimError
from csv_pipeline.model import Claim, ImportReport
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.targets import key_columns, target_table
from csv_pipeline.storage.worker import this_worker


@dataclass(frozen=True, slots=True, kw_only=True)
class SameContent:
    """An import that brought the same bytes before.

    It `is_current` if no import or undo since has changed any row that may be one of its rows.
    """

    import_id: int
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A claimed file whose rows are about to be stored.

    `fingerprint` is None if its bytes may have come before; `repairs` is the import whose rejected
    rows it brings back.
    """

    claim: Claim
    fingerprint: str | None = None
    repairs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSituation:
    """What holds for one file.

    `position` is where it counts among others: a repair where the import does that it repairs. It
    `is_overtaken` if rows of a later arrival are stored, and `is_awaited` if a file with an
    earlier position, none of those asked for, is yet to be imported.
    """

    position: int | None
    is_overtaken: bool
    is_awaited: bool
    same: SameContent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What holds for files of one lane, in the order asked, and for the lane.

    `any_stored` says whether the account has any row; `headers` are those of the last imports, by
    layout, of the layouts asked for.
    """

    files: tuple[FileSituation, ...]
    any_stored: bool
    headers: Mapping[str, tuple[str, ...]]


def situation(
    connection: sa.Connection,
    feed: Feed,
    asked: Sequence[Asked],
    layouts: Collection[str] = (),
    besides: Sequence[int] = (),
) -> Situation:
    """Return what holds for claimed files of one account and feed; the lane must be locked.

    `besides` are arrivals that end in this transaction, so that nobody waits for them.

    Raises:
        LostClaimError: One of the claims is no longer its arrival's current one, or another process
            works on it; that of a dry run without an arrival is never lost.
    """
    claims = [one.claim for one in asked]
    rows = connection.execute(
        _situation(feed),
        {
            "worker": this_worker(),
            "account": claims[0].account,
            "feed": feed.name,
            "arrival_ids": [claim.arrival_id for claim in claims],
            "attempts": [claim.attempt for claim in claims],
            "positions": [claim.position for claim in claims],
            "fingerprints": [one.fingerprint for one in asked],
            "repairs": [one.repairs for one in asked],
            "layouts": list(layouts),
            "besides": list(besides),
        },
    ).all()
    for row, claim in zip(rows, claims, strict=True):
        if not row.is_held:
            raise LostClaimError(claim.arrival_id, claim.attempt)
    return Situation(
        files=tuple(
            FileSituation(
                position=row.position,
                is_overtaken=row.is_overtaken,
                is_awaited=row.is_awaited,
                same=_same(row),
            )
            for row in rows
        ),
        any_stored=rows[0].any_stored,
        headers={layout: tuple(header) for layout, header in (rows[0].headers or {}).items()},
    )


def same_content(
    connection: sa.Connection, of: Claim | ImportReport, fingerprint: str | None
) -> SameContent | None:
    """Return the last import that brought the same bytes for the same account and feed, if any."""
    (found,) = same_contents(connection, of, [fingerprint])
    return found


def same_contents(
    connection: sa.Connection, of: Claim | ImportReport, fingerprints: Sequence[str | None]
) -> list[SameContent | None]:
    """Return so for the bytes of several files of an account and feed."""
    facts = {"account": of.account, "feed": of.feed, "fingerprints": list(fingerprints)}
    return [_same(row) for row in connection.execute(_SAME_CONTENTS, facts)]


def _same(row: sa.Row[tuple[int, bool]]) -> SameContent | None:
    if row.same_as is None:
        return None
    return SameContent(import_id=row.same_as, is_current=row.is_current)


_STANDING = (
    "account = :account AND feed = :feed AND outcome = 'imported' AND undone_by_import_id IS NULL"
)

# The rows of an import are as it left them unless one stored after it changed some, or an undo.
_SAME = f"""
    SELECT import_id AS same_as, turn >= coalesce((
        SELECT max(turn) FROM csv_pipeline.import
        WHERE account = :account AND feed = :feed
            AND (updated > 0 OR missing > 0 OR outcome = 'undo')
    ), 0) AS is_current
    FROM csv_pipeline.import
    WHERE {_STANDING} AND fingerprint = {{fingerprint}}
    ORDER BY turn DESC, import_id DESC
    LIMIT 1
"""
_SAME_CONTENTS = sa.text(f"""
    SELECT same.*
    FROM unnest(CAST(:fingerprints AS text[])) WITH ORDINALITY AS file (fingerprint, nth)
    LEFT JOIN LATERAL ({_SAME.format(fingerprint="file.fingerprint")}) AS same ON true
    ORDER BY nth
""")


@cache
def _situation(feed: Feed) -> sa.TextClause:
    target = target_table(feed)
    key = ", ".join(f'"{name}"' for name in key_columns(feed))
    return sa.text(f"""
WITH file AS MATERIALIZED (
    SELECT f.*, CASE WHEN repairs IS NULL THEN own_position ELSE (
        SELECT position FROM csv_pipeline.import WHERE import_id = repairs
    ) END AS position
    FROM unnest(
        CAST(:arrival_ids AS bigint[]), CAST(:attempts AS integer[]),
        CAST(:positions AS bigint[]), CAST(:fingerprints AS text[]), CAST(:repairs AS bigint[])
    ) WITH ORDINALITY AS f (arrival_id, attempt, own_position, fingerprint, repairs, nth)
)
SELECT
    position,
    -- A dry run of a file that the ledger does not know has no claim to lose.
    file.arrival_id = 0 OR EXISTS (
        SELECT FROM csv_pipeline.arrival a
        WHERE a.arrival_id = file.arrival_id AND a.attempt = file.attempt AND a.status = 'claimed'
            AND coalesce(a.worker, :worker) IS NOT DISTINCT FROM CAST(:worker AS text)
    ) AS is_held,
    coalesce(file.position < (
        SELECT position FROM csv_pipeline.import WHERE {_STANDING} AND position IS NOT NULL
        ORDER BY position DESC LIMIT 1
    ), false) OR (repairs IS NULL AND coalesce((  -- by corrections of its own rows
        -- No condition, or all corrections there are would be looked through.
        SELECT bool_or(i.repairs_import_id IS NOT NULL) FROM csv_pipeline.import i
        WHERE {_STANDING} AND i.position = file.position
    ), false)) AS is_overtaken,
    EXISTS (
        SELECT FROM csv_pipeline.arrival a
        WHERE a.account = :account AND a.feed = :feed
            AND a.status IN ('waiting', 'claimed', 'failed') AND a.position < file.own_position
            AND a.arrival_id <> ALL (CAST(:arrival_ids AS bigint[]) || CAST(:besides AS bigint[]))
    ) AS is_awaited,
    same.*,
    -- In the order of the key, so that it is looked for by the index.
    (SELECT true FROM {target.schema}."{target.name}" WHERE account = :account
        ORDER BY {key} LIMIT 1) IS NOT NULL AS any_stored,
    (SELECT jsonb_object_agg(layout, header)
        FROM unnest(CAST(:layouts AS text[])) AS layout, LATERAL (
            SELECT report -> 'header' AS header FROM csv_pipeline.import
            WHERE {_STANDING} AND repairs_import_id IS NULL AND report ->> 'layout' = layout
            ORDER BY import_id DESC
            LIMIT 1
        ) AS last
    ) AS headers
FROM file
LEFT JOIN LATERAL ({_SAME.format(fingerprint="file.fingerprint")}) AS same ON true
ORDER BY nth
""")
