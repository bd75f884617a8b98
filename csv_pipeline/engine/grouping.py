"""Which files of a run go through a stage together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from csv_pipeline.engine.group import Group
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.workspace import MOST_BYTES_OF_ONE, Stage
from csv_pipeline.storage.targets import rows_meet

_MOST_BYTES = 16 * 1024**2
_MOST_FILES = 500


def groups_of(imports: Sequence[Import], stage: Stage) -> Iterator[Group]:
    """Give imports of one account and feed in their order, those together that go together.

    Each has done the stage before, and the groups are to be advanced one after the other: later
    files win over earlier ones.
    """
    if stage in {Stage.ARRIVE, Stage.READ}:  # where each is looked at by itself
        yield from _looked_at(imports)
        return
    if stage is Stage.TRANSFORM and len(imports) > 1:
        one = imports[0]
        with one.pipeline.database.begin() as connection:
            # What a snapshot lacks, and so what becomes of rows, depends on the files before it.
            if one.feed.snapshot is not None or rows_meet(connection, one.feed):
                yield from (Group([import_]) for import_ in imports)
                return
    # Those that ended before their rows were typed change nothing: their order does not matter.
    early = {i for i in imports if i.ends_for_good and i.workspace.shared is None}
    yield from _joined([import_ for import_ in imports if import_ in early])
    yield from _joined([import_ for import_ in imports if import_ not in early])


def _looked_at(imports: Sequence[Import]) -> Iterator[Group]:
    for is_small, alike in groupby(imports, lambda import_: import_.is_small):
        these = list(alike)
        for some in [these] if is_small else ([one] for one in these):
            yield Group(some, first=some[0] is imports[0])


def _joined(imports: Sequence[Import]) -> Iterator[Group]:
    some: list[Import] = []
    known_by: object = None
    size_bytes, prints = 0, set[str]()
    for import_ in imports:
        its = _likeness(import_)
        size_bytes += its.size_bytes
        alike = its.known_by is not None and its.known_by == known_by
        # Of equal files the second is a duplicate, once the first is in.
        fits = size_bytes <= _MOST_BYTES and its.fingerprint not in prints
        if some and not (alike and fits and len(some) < _MOST_FILES):
            yield Group(some)
            some, size_bytes, prints = [], its.size_bytes, set()
        some.append(import_)
        known_by = its.known_by
        prints |= {its.fingerprint} - {""}
    if some:
        yield Group(some)


@dataclass(frozen=True, slots=True)
class _Likeness:
    """What files have in common that go together, None of one that goes alone; and its bytes."""

    known_by: object
    size_bytes: int = 0
    fingerprint: str = ""


def _likeness(import_: Import) -> _Likeness:
    workspace, claim = import_.workspace, import_.claim
    if (shared := workspace.shared) is not None:  # so they went together in the stage before
        return _Likeness(shared.work)
    if not import_.is_due:
        return _Likeness("ended" if import_.ends_for_good and not claim.dry_run else None)
    text, plain = workspace.text, workspace.plain
    if text is None or plain is None or claim.dry_run or workspace.replay is not None:
        return _Likeness(None)
    if plain.size_bytes > MOST_BYTES_OF_ONE:
        return _Likeness(None)
    return _Likeness(text.header, plain.size_bytes, import_.fingerprint or "")
