"""All feeds there are: shipped, of other packages, of a module or folder that a setting names.

Commands, Dagster and the demo ask here, so that a feed that one of them knows all of them know.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import BrokenFeed, Feed

GROUP = "csv_pipeline.feeds"
"""The entry points of packages that have feeds."""

_Found = Iterator[tuple[Feed | BrokenFeed, str]]


def all_feeds(settings: Settings) -> tuple[Feed | BrokenFeed, ...]:
    """Return all feeds, the shipped ones first; those of files that are wrong are broken.

    Raises:
        SetupError: A source has no feeds, or two have the same name.
    """
    sources: dict[str, str] = {}
    feeds: list[Feed | BrokenFeed] = []
    for feed, source in _everywhere(settings):
        if isinstance(feed, BrokenFeed):
            feeds.append(feed)
            continue
        if feed.name in sources:
            raise SetupError(
                f"feed {feed.name!r}: a name of its own was needed; {sources[feed.name]} and "
                f"{source} both have it"
            )
        sources[feed.name] = source
        feeds.append(feed)
    return tuple(feeds)


class FeedFiles:
    """The files of YAML feeds in all folders there are, to hear of what is written to them."""

    def __init__(self, settings: Settings) -> None:
        given = [entry.load() for entry in entry_points(group=GROUP)]
        named = [Path(one) for one in settings.feeds if not _is_module(one)]
        packaged = [Path(one) for one in given if isinstance(one, str | Path)]
        self._folders = {one.resolve() for one in (*named, *packaged, *settings.feed_folders)}
        self._seen = self._told = self._now()

    def have_changed(self) -> bool:
        """Tell once of files that are new, changed or gone, after a look that saw the same."""
        before, self._seen = self._seen, self._now()
        if self._seen != before or self._seen == self._told:
            return False
        self._told = self._seen
        return True

    def _now(self) -> dict[Path, tuple[int, int]]:
        from csv_pipeline.spec.declared import files_in  # noqa: PLC0415  # takes 0.1 s

        found = dict[Path, tuple[int, int]]()
        for folder in self._folders:
            with suppress(OSError):  # it may go, or its files may, while this looks
                for path in files_in(folder):
                    facts = path.stat()
                    found[path] = facts.st_mtime_ns, facts.st_size
        return found


def _everywhere(settings: Settings) -> _Found:
    for feed in FEEDS:
        yield feed, "csv_pipeline"
    for entry in entry_points(group=GROUP):
        yield from _of_entry(entry)
    for named in settings.feeds:
        yield from _of_module(named) if _is_module(named) else _of_folder(Path(named))
    own = {folder.resolve() for folder in map(Path, settings.feeds) if folder.is_dir()}
    for folder in settings.feed_folders:
        if folder.is_dir() and folder.resolve() not in own:
            own.add(folder.resolve())
            yield from _of_folder(folder)


def _of_entry(entry: EntryPoint) -> _Found:
    source = f"entry point {entry.name} = {entry.value}"
    try:
        given = entry.load()
    except (ImportError, AttributeError) as error:
        raise SetupError(f"{source}: feeds were needed; {error}") from error
    yield from _given(given, source)


def _is_module(named: str) -> bool:
    module, colon, name = named.partition(":")
    return bool(colon) and name.isidentifier() and module.replace(".", "_").isidentifier()


def _of_module(named: str) -> _Found:
    source = f"CSV_PIPELINE_FEEDS {named}"
    module, _, name = named.partition(":")
    try:
        given = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SetupError(f"{source}: feeds were needed; {error}") from error
    yield from _given(given, source)


def _given(given: Any, source: str) -> _Found:
    """Give the feeds of an object: a feed, several, or the folder that their files are in."""
    if isinstance(given, str | Path):
        yield from _of_folder(Path(given))
        return
    several: Iterable[Any] = (given,) if isinstance(given, Feed) else given
    if not isinstance(several, Iterable):
        raise SetupError(f"{source}: feeds, or their folder, were needed; found {given!r}")
    for one in several:
        if not isinstance(one, Feed):
            raise SetupError(f"{source}: feeds, or their folder, were needed; found {one!r}")
        yield one, source


def _of_folder(folder: Path) -> _Found:
    from csv_pipeline.spec.declared import read_folder  # noqa: PLC0415  # takes 0.1 s

    for path, feed in read_folder(folder):
        yield feed, str(path)
