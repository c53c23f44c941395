"""Statements of the hot path: made once from the schema, and handed to the driver as they are.

SQLAlchemy finds its compiled form of a statement anew at each execution, which takes longer than SQLite
takes to run it. Here that is done once. And what is done for many rows is few statements: where a table
has foreign keys and triggers each pays for a savepoint of its own, which takes several times what a row
does. (``executemany`` is a statement for each row.)
"""

import re
from collections import namedtuple
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from sqlite3 import Cursor
from typing import Any, Final

from sqlalchemy import Column, Executable, bindparam
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.sql.elements import BindParameter, ClauseElement

from slurmband.store.database import Transaction

#: What one statement may have: SQLite before 3.32 takes 999.
_PARAMETERS: Final = 999
#: Lengths that an IN list is filled up to, and rows of an INSERT: so few statements are prepared.
_LENGTHS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MANY: Final = _LENGTHS[-1]
#: The least of them that is enough for so many.
_LENGTH_FOR: Final = [min(n for n in _LENGTHS if n >= many) for many in range(MANY + 1)]
_KEYS: Final = "keys"
#: What stands in a statement for the list of keys that it is about: ``tasks.c.key.in_(KEYS)``.
KEYS: Final[BindParameter[Any]] = bindparam(_KEYS, expanding=True)
_LIST: Final = f"__[POSTCOMPILE_{_KEYS}]"
_DIALECT: Final = dialect(paramstyle="named")
#: In a compiled text. The driver gets them by number: to find one by name takes a while for each.
_PARAMETER: Final = re.compile(rf":(?P<name>\w+)|{re.escape(_LIST)}")

#: A row of a result, with its columns as attributes.
Row = Any
#: A row of parameters. Words are plain `str`: of its subclasses SQLite's driver asks how to adapt them.
Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What the driver is to be given: a text, and which of the parameters go where.

    Parameters
    ----------
    sql : str
    before, after : list of str
        Names of the parameters before the list of keys, and after it; where there is no list, all are
        before.
    """

    sql: str
    before: list[str]
    after: list[str]


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
        self._compiled: _Compiled | None = None
        self._row: Any = None
        self._listed: dict[int, str] = {}

    def prepare(self) -> _Compiled:
        """Do what need be done once, before a transaction in which others would wait for it."""
        if self._compiled is None:
            self._compiled = _compile(self._statement)
        return self._compiled

    def run(self, tx: Transaction, **values: object) -> list[Row]:
        """Execute it once; return its rows."""
        return self._rows(self._execute(tx, values))

    def value(self, tx: Transaction, **values: object) -> Any:
        """Execute it once; return the first column of its first row, None if there is none."""
        row = self._execute(tx, values).fetchone()
        return row[0] if row else None

    def run_many(self, tx: Transaction, rows: Sequence[Values]) -> None:
        """Execute it once for each row of parameters."""
        what = self.prepare()
        tx.driver.executemany(what.sql, [_bound(what.before, row) for row in rows])

    def change(self, tx: Transaction, rows: Mapping[int, Values]) -> int:
        """Execute it for keys, those of equal parameters together; return how many rows changed."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for key, values in rows.items():
            alike.setdefault(tuple(values.values()), []).append(key)
        return sum(
            cursor.rowcount
            for keys in alike.values()
            for cursor in self._execute_for(tx, keys, rows[keys[0]])
        )

    def run_for(self, tx: Transaction, keys: Collection[int], **values: object) -> list[Row]:
        """Execute it for lists of keys; return the rows of all."""
        return [row for cursor in self._execute_for(tx, keys, values) for row in self._rows(cursor)]

    def _execute(self, tx: Transaction, values: Values) -> Cursor:
        what = self.prepare()
        return tx.driver.execute(what.sql, _bound(what.before, values))

    def _execute_for(
        self, tx: Transaction, keys: Collection[int], values: Values
    ) -> Iterator[Cursor]:
        """Execute it for parts of a list of keys, each filled up with its last key."""
        what = self.prepare()
        before, after = _bound(what.before, values), _bound(what.after, values)
        rest = iter(keys)
        while part := list(islice(rest, MANY)):
            length = _LENGTH_FOR[len(part)]
            part += part[-1:] * (length - len(part))
            yield tx.driver.execute(self._with_list(length), before + part + after)

    def _with_list(self, length: int) -> str:
        """Return the text with a list of so many keys; always the same one, whose hash is known."""
        found = self._listed.get(length)
        if found is None:
            listed = ", ".join("?" * length)
            found = self._listed[length] = self.prepare().sql.replace(_LIST, listed)
        return found

    def _rows(self, cursor: Cursor) -> list[Row]:
        if cursor.description is None:
            return []
        if self._row is None:
            names = [name for name, *_ in cursor.description]
            # Its own `_make` is Python, and takes several times as long.
            self._row = partial(tuple.__new__, namedtuple("Row", names))
        return list(map(self._row, cursor))


def _compile(statement: Executable) -> _Compiled:
    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(dialect=_DIALECT)
    always = {name: value for name, value in compiled.params.items() if value is not None}
    names: list[str] = []

    def written(found: re.Match[str]) -> str:
        name = found["name"]
        if name in always:
            return _literal(always[name])
        names.append(name or _KEYS)
        return found[0] if name is None else "?"

    sql = _PARAMETER.sub(written, str(compiled))
    place = names.index(_KEYS) if _KEYS in names else len(names)
    return _Compiled(sql, names[:place], names[place + 1 :])


def _bound(names: Sequence[str], values: Values) -> list[object]:
    return [values[name] for name in names]


def _literal(value: object) -> str:
    """Write what never changes into the text.

    As a parameter it would be looked at anew each time, and where an index holds only a part of the rows
    SQLite would plan the whole statement anew: whether that index may be used depends on the value.
    """
    if isinstance(value, str):
        return "'" + str.__str__(value).replace("'", "''") + "'"
    assert isinstance(value, int)
    return str(int(value))


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
        self._listed: dict[int, str] = {}

    def run(self, tx: Transaction, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows."""
        remaining = iter(rows)
        while part := list(islice(remaining, self._lengths[0])):
            for length in self._lengths:
                while len(part) >= length:
                    self._run(tx, part[:length])
                    del part[:length]

    def _run(self, tx: Transaction, rows: Sequence[Sequence[object]]) -> None:
        sql = self._listed.get(len(rows))
        if sql is None:
            sql = self._listed[len(rows)] = self._into + ", ".join([self._row] * len(rows))
        tx.driver.execute(sql, tuple(chain.from_iterable(rows)))
