r"""Put the keys of JSON objects in order, many values at once: those of one shape alike.

What a program writes has few shapes: a value with `""` for each text that is no key, and with `1`
for each number. All here is about compact JSON, in which each key ends in `":` and nothing else
does: `\":` within a text has a mark of its own while the keys are marked.

A shape is JSON only if its value is, whose texts have no control character and no unknown escape:
what became `""` began and ended where a text does. Else a text would have begun before it, and
would have been found there; or a key, which has no quote within that ends what begins there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

KEY, ESCAPED = "\1", "\2"  # instead of `":` and `\":`; no JSON has them as they are
_TEXT = rf'"[^"\\{KEY}]*(?:\\.[^"\\{KEY}]*)*"'
_FIRST = re.compile(r'([\[{]+)"([^"]*)')
_PIECE = re.compile(r'(?:-?1|""|true|false|null)?(,|\}\]*(?:,\[*\{)?)(?:"([^"]*))?')
_PARTS = re.compile(rf'[{{}}]|"[^"{KEY}]*{KEY}')
_DOUBTFUL_KEY = re.compile(rf'[\\{ESCAPED}]|"[^"{KEY}]*1[^"{KEY}]*{KEY}')
_MOST_KEYS = 100


def marked(values: pl.Series) -> pl.Series:
    """Return values with their keys marked."""
    escaped = values.str.replace_all(r"\":", ESCAPED, literal=True)
    return escaped.str.replace_all('":', KEY, literal=True)


def without_texts(values: pl.Series) -> pl.Series:
    """Return marked values with `""` for each text that is no key."""
    return values.str.replace_all(_TEXT, '""')


def shapes_of(bare: pl.Series) -> pl.Series:
    """Return the shapes of values without texts."""
    return bare.str.replace_all("[0-9]+", "1")


def without_marks(shape: str) -> str:
    """Return a shape as it would be written."""
    return shape.replace(KEY, '":').replace(ESCAPED, r"\":")


def has_doubtful_key(shape: str) -> bool:
    """Return whether a key has a number, which another value may have otherwise, or an escape."""
    return bool(_DOUBTFUL_KEY.search(shape))


def in_order(shape: str) -> bool:
    """Return whether the keys of each object stand in their order."""
    last = [""]
    for part in _PARTS.findall(shape):
        if part == "{":
            last.append("")
        elif part == "}":
            last.pop()
        elif last[-1] and part <= last[-1]:
            return False
        else:
            last[-1] = part
    return True


@dataclass(frozen=True, slots=True)
class Flat:
    """A shape of objects none of which has another or a list within.

    `keys` are those of all objects in turn, and `ends` what stands behind the value of each; the
    first of these stands before all.
    """

    keys: tuple[str, ...]
    ends: tuple[str, ...]

    @classmethod
    def of(cls, shape: str) -> "Flat | None":
        """Return a shape as one of these, if it is."""
        first, *pieces = shape.split(KEY)
        found = [_FIRST.fullmatch(first), *map(_PIECE.fullmatch, pieces[:_MOST_KEYS])]
        parts = [match.groups() for match in found if match]
        if not pieces or len(parts) < 1 + len(pieces):
            return None
        keys = [key for _, key in parts[:-1]]
        return cls(tuple(keys), tuple(end for end, _ in parts))

    def ordered(self, values: pl.Series) -> pl.Series:
        """Return marked values of the shape with the keys of each object in order."""
        names = [str(at) for at in range(len(self.keys) + 1)]
        pieces = values.str.split_exact(KEY, len(self.keys)).struct.rename_fields(names)
        made = pieces.struct.unnest().select(pl.concat_str(list(self._parts()))).to_series()
        return made.str.replace_all(ESCAPED, r"\":", literal=True)

    def _parts(self) -> Iterator[pl.Expr]:
        """Give what a value with its keys in order is made of."""
        yield pl.lit(self.ends[0])
        begin = 0
        for at, end in enumerate(self.ends[1:], 1):
            if end == ",":
                continue
            places = sorted(range(begin, at), key=lambda place: self.keys[place])
            for place in places:
                yield pl.lit(f'{"" if place == places[0] else ","}"{self.keys[place]}":')
                yield self._value(place + 1)
            yield pl.lit(end)
            begin = at

    def _value(self, at: int) -> pl.Expr:
        """Return what stands behind a key, without what ends it and the key that follows."""
        following = f'"{self.keys[at]}' if at < len(self.keys) else ""
        return pl.col(str(at)).str.strip_suffix(f"{self.ends[at]}{following}")
