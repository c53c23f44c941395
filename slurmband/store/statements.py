"""Statements of the hot path: made once from the schema, and handed to the driver as they are.

SQLAlchemy finds its compiled form of a statement anew at each execution, which takes longer than SQLite
takes to run it. Here that is done once. And what is done for many rows is few statements: where a table
has foreign keys and triggers each pays for a savepoint of its own, which takes several times what a row
does. (``executemany`` is a statement for each row.)
"""

from collections import namedtuple
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, Final

from sqlalchemy import Column, Executable, bindparam
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.sql.elements import BindParameter, ClauseElement

from slurmband.store.database import Transaction

#: What one statement may have: SQLite before 3.32 takes 999.
_PARAMETERS: Final = 999
#: Lengths that an IN list is filled up to, and rows of an INSERT: so few statements are prepared.
_LENGTHS: Final = (1, 4, 16, 64, 256)
MANY: Final = _LENGTHS[-1]
_KEYS: Final = "keys"
#: What stands in a statement for the list of keys that it is about: ``tasks.c.key.in_(KEYS)``.
KEYS: Final[BindParameter[Any]] = bindparam(_KEYS, expanding=True)
_DIALECT: Final = dialect(paramstyle="named")

#: A row of a result, with its columns as attributes.
Row = Any
#: A row of parameters. Words are plain `str`: of its subclasses SQLite's driver asks how to adapt them.
Values = Mapping[str, object]


class Statement:
    """One statement, with parameters by name, and perhaps `KEYS`.

    Parameters
    ----------
    statement : Executable
        In SQLAlchemy's words; what varies is a `bindparam`.
    """

    def __init__(self, statement: Executable) -> None:
        _ALL.append(self)
        self._statement = statement
        self._row: Any = None

    @cached_property
    def _compiled(self) -> tuple[str, dict[str, object]]:
        assert isinstance(self._statement, ClauseElement)
        compiled = self._statement.compile(dialect=_DIALECT)
        given = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), given

    def prepare(self) -> None:
        """Do what need be done once, before a transaction in which others would wait for it."""
        _ = self._compiled

    def run(self, tx: Transaction, **values: object) -> list[Row]:
        """Execute it once; return its rows."""
        sql, given = self._compiled
        return self._rows(tx, sql, given | values)

    def value(self, tx: Transaction, **values: object) -> Any:
        """Execute it once; return the first column of its first row, None if there is none."""
        rows = self.run(tx, **values)
        return rows[0][0] if rows else None

    def run_many(self, tx: Transaction, rows: Sequence[Values]) -> None:
        """Execute it once for each row of parameters."""
        sql, given = self._compiled
        tx.driver.executemany(sql, [{**given, **row} for row in rows])

    def change(self, tx: Transaction, rows: Mapping[int, Values]) -> int:
        """Execute it for keys, those of equal parameters together; return how many rows changed."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for key, values in rows.items():
            alike.setdefault(tuple(values.values()), []).append(key)
        changed = 0
        for keys in alike.values():
            for sql, given in self._parts(keys):
                changed += tx.driver.execute(sql, given | dict(rows[keys[0]])).rowcount
        return changed

    def run_for(self, tx: Transaction, keys: Collection[int], **values: object) -> list[Row]:
        """Execute it for lists of keys; return the rows of all."""
        found: list[Row] = []
        for sql, given in self._parts(keys):
            found += self._rows(tx, sql, given | values)
        return found

    def _rows(self, tx: Transaction, sql: str, values: dict[str, object]) -> list[Row]:
        cursor = tx.driver.execute(sql, values)
        if cursor.description is None:
            return []
        if self._row is None:
            self._row = namedtuple("Row", [name for name, *_ in cursor.description])  # type: ignore[misc]  # known when it runs
        return list(map(self._row._make, cursor))

    def _parts(self, keys: Collection[int]) -> Iterator[tuple[str, dict[str, object]]]:
        sql, given = self._compiled
        rest = iter(keys)
        while part := list(islice(rest, MANY)):
            length = next(length for length in _LENGTHS if length >= len(part))
            part += part[-1:] * (length - len(part))
            listed = sql.replace(f"__[POSTCOMPILE_{_KEYS}]", _LISTS[length])
            yield listed, given | dict(zip(_NAMES, part, strict=False))


_NAMES: Final = tuple(f"key{number}" for number in range(MANY))
_LISTS: Final = {length: ", ".join(f":{name}" for name in _NAMES[:length]) for length in _LENGTHS}


_ALL: Final[list[Statement]] = []


def prepare() -> None:
    """Prepare all statements."""
    for statement in _ALL:
        statement.prepare()


class Insertion:
    """An INSERT of rows into some columns of a table.

    Parameters
    ----------
    *columns : Column
        Of one table; a row has its values in this order, as the driver takes them.
    """

    def __init__(self, *columns: Column[Any]) -> None:
        names = ", ".join(column.name for column in columns)
        self._into = f"INSERT INTO {columns[0].table.name} ({names}) VALUES "  # noqa: S608  # our schema's own
        self._row = f"({', '.join('?' * len(columns))})"
        most = _PARAMETERS // len(columns)
        self._lengths = (most, *(length for length in _LENGTHS[::-1] if length < most))

    def run(self, tx: Transaction, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows."""
        remaining = iter(rows)
        while part := list(islice(remaining, self._lengths[0])):
            for length in self._lengths:
                while len(part) >= length:
                    self._run(tx, part[:length])
                    del part[:length]

    def _run(self, tx: Transaction, rows: Sequence[Sequence[object]]) -> None:
        sql = self._into + ", ".join([self._row] * len(rows))
        tx.driver.execute(sql, tuple(chain.from_iterable(rows)))
