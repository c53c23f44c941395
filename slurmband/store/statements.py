"""Statements of the hot path: made once from the schema, and handed to the driver as they are.

SQLAlchemy finds its compiled form of a statement anew at each execution, which takes longer than SQLite
takes to run it. Here that is done once, and what is done for many rows is one call.
"""

from collections import namedtuple
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final

from sqlalchemy import Executable, bindparam
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.sql.elements import BindParameter, ClauseElement

from slurmband.store.database import Transaction

#: Lengths that an IN list is filled up to, so that there are few statements to prepare. Older SQLite
#: takes 999 parameters.
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
        self._statement = statement
        self._row: Any = None

    @cached_property
    def _compiled(self) -> tuple[str, dict[str, object]]:
        assert isinstance(self._statement, ClauseElement)
        compiled = self._statement.compile(dialect=_DIALECT)
        given = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), given

    def run(self, tx: Transaction, **values: object) -> list[Row]:
        """Execute it once; return its rows."""
        sql, given = self._compiled
        return self._rows(tx, sql, given | values)

    def value(self, tx: Transaction, **values: object) -> Any:
        """Execute it once; return the first column of its first row, None if there is none."""
        rows = self.run(tx, **values)
        return rows[0][0] if rows else None

    def run_many(self, tx: Transaction, rows: Sequence[Values]) -> int:
        """Execute it once for each row of parameters; return how many rows of the table changed."""
        if not rows:
            return 0
        sql, given = self._compiled
        if given:
            rows = [{**given, **row} for row in rows]
        return tx.driver.executemany(sql, rows).rowcount

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
            yield self._listed(sql, length), given | dict(zip(_NAMES, part, strict=False))

    def _listed(self, sql: str, length: int) -> str:
        return sql.replace(f"__[POSTCOMPILE_{_KEYS}]", _LISTS[length])


_NAMES: Final = tuple(f"key{number}" for number in range(MANY))
_LISTS: Final = {length: ", ".join(f":{name}" for name in _NAMES[:length]) for length in _LENGTHS}
