"""Statements of the hot path: made once from the schema, and handed to the driver as they are.

SQLAlchemy finds its compiled form of a statement anew at each execution, which takes longer than SQLite
takes to run it. Here that is done once, and what is done for many rows is one call.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final

from sqlalchemy import CursorResult, Executable, bindparam
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

    @cached_property
    def _compiled(self) -> tuple[str, dict[str, object]]:
        assert isinstance(self._statement, ClauseElement)
        compiled = self._statement.compile(dialect=_DIALECT)
        given = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), given

    def run(self, tx: Transaction, **values: object) -> CursorResult[Any]:
        """Execute it once."""
        sql, given = self._compiled
        return tx.connection.exec_driver_sql(sql, {**given, **values})

    def run_many(self, tx: Transaction, rows: Sequence[Values]) -> int:
        """Execute it once for each row of parameters; return how many rows of the table changed."""
        if not rows:
            return 0
        sql, given = self._compiled
        if given:
            rows = [{**given, **row} for row in rows]
        return tx.connection.exec_driver_sql(sql, rows).rowcount

    def run_for(self, tx: Transaction, keys: Collection[int], **values: object) -> list[Any]:
        """Execute it for lists of keys; return the rows of all."""
        found: list[Any] = []
        for sql, given in self._parts(keys):
            result = tx.connection.exec_driver_sql(sql, {**given, **values})
            if result.returns_rows:
                found += result.all()
        return found

    def _parts(self, keys: Collection[int]) -> Iterator[tuple[str, dict[str, object]]]:
        sql, given = self._compiled
        rest = iter(keys)
        while part := list(islice(rest, MANY)):
            length = next(length for length in _LENGTHS if length >= len(part))
            part += part[-1:] * (length - len(part))
            named = {f"key{n}": key for n, key in enumerate(part)}
            listed = sql.replace(
                f"__[POSTCOMPILE_{_KEYS}]", ", ".join(f":{name}" for name in named)
            )
            yield listed, given | named
