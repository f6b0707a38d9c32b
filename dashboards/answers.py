"""Questions of pages to the warehouse, answered once per version of the ledger and project."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa

from warehouse.snapshot import Session, Warehouse
from warehouse.stores import Place

ENTRIES_MAX: Final = 512  # answers are aggregates or one page of rows: some tens of megabytes at most
ROWS_KEPT_MAX: Final = 2_000  # a larger answer is an export: made for one person, once
Row = dict[str, Any]


class Archive:
    """The warehouse of a data folder for all its readers at once."""

    def __init__(self, ledger: Place) -> None:
        self._ledger = ledger
        self._mutex = threading.Lock()
        self._warehouse: Warehouse | None = None
        self._idle: dict[str, list[Session]] = {}
        self._answers: OrderedDict[object, pa.Table] = OrderedDict()

    @contextmanager
    def asking(self, project_id: str) -> Iterator["Answers"]:
        """Lend a session of the project, at the newest version, for the time of a page. Raises `Unavailable`."""
        session = self._borrow(project_id)
        try:
            yield Answers(self, session, project_id)
        finally:
            with self._mutex:
                self._idle.setdefault(project_id, []).append(session)

    def recall(self, key: object) -> pa.Table | None:
        """Return the answer kept under `key`."""
        with self._mutex:
            answer = self._answers.get(key)
            if answer is not None:
                self._answers.move_to_end(key)
            return answer

    def keep(self, key: object, answer: pa.Table) -> None:
        """Keep an answer; those asked for longest ago make room."""
        with self._mutex:
            self._answers[key] = answer
            while len(self._answers) > ENTRIES_MAX:
                self._answers.popitem(last=False)

    def _borrow(self, project_id: str) -> Session:
        with self._mutex:
            self._warehouse = self._warehouse or Warehouse.open(self._ledger)
            idle = self._idle.get(project_id)
            return idle.pop() if idle else self._warehouse.session(project_id)


class Answers:
    """What a page may ask: of one project, at one version of the ledger."""

    def __init__(self, archive: Archive, session: Session, project_id: str) -> None:
        self._archive = archive
        self._session = session
        self._project_id = project_id
        self.version = session.refresh()

    def table(self, question: str, **parameters: Any) -> pa.Table:
        """Answer `warehouse/queries/<question>.sql`."""
        given = tuple(sorted((name, tuple(value) if isinstance(value, list) else value) for name, value in parameters.items()))
        key = (self._project_id, self.version, question, given)
        answer = self._archive.recall(key)
        if answer is None:
            answer = self._session.query(question, **parameters)
            if answer.num_rows <= ROWS_KEPT_MAX:
                self._archive.keep(key, answer)
        return answer

    def rows(self, question: str, **parameters: Any) -> list[Row]:
        """Answer it as rows."""
        rows: list[Row] = self.table(question, **parameters).to_pylist()
        return rows

    def row(self, question: str, **parameters: Any) -> Row:
        """Answer it with its first row; an empty one where it has none."""
        return next(iter(self.rows(question, **parameters)), {})
