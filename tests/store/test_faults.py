"""Every error of the drivers is sorted, and what each of them does to a real database's user."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psycopg
import pytest

from bot.store import faults
from bot.store.faults import BY_CLASS, BY_SQLITE_CODE, BY_SQLSTATE, Handling, fault_of

_ACTIONS = """
ALTER_TABLE ANALYZE ATTACH CREATE_INDEX CREATE_TABLE CREATE_TEMP_INDEX CREATE_TEMP_TABLE
CREATE_TEMP_TRIGGER CREATE_TEMP_VIEW CREATE_TRIGGER CREATE_VIEW CREATE_VTABLE DELETE DENY
DETACH DROP_INDEX DROP_TABLE DROP_TEMP_INDEX DROP_TEMP_TABLE DROP_TEMP_TRIGGER DROP_TEMP_VIEW
DROP_TRIGGER DROP_VIEW DROP_VTABLE FUNCTION IGNORE INSERT PRAGMA READ RECURSIVE REINDEX
SAVEPOINT SELECT TRANSACTION UPDATE
"""
"""What an authorizer is asked, in the same name space as the errors."""

_NO_ERRORS = ("SQLITE_OK", "SQLITE_ROW", "SQLITE_DONE", "SQLITE_LIMIT_", "SQLITE_DBCONFIG_")


def sqlite_errors() -> dict[str, int]:
    return {
        name: getattr(sqlite3, name)
        for name in dir(sqlite3)
        if name.startswith("SQLITE_")
        and not name.startswith(_NO_ERRORS)
        and name.removeprefix("SQLITE_") not in _ACTIONS.split()
    }


def subclasses(one: type[psycopg.Error]) -> Iterator[type[psycopg.Error]]:
    yield one
    for below in one.__subclasses__():
        yield from subclasses(below)


def test_every_sqlstate_that_psycopg_knows_is_sorted_and_none_beside() -> None:
    known = {one.sqlstate for one in subclasses(psycopg.Error) if one.sqlstate}
    assert set(BY_SQLSTATE) == known


def test_no_sqlstate_is_sorted_twice() -> None:
    codes = [code for _, group in faults._BY_FAULT for code in group.split()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("driver", [psycopg, sqlite3])
def test_what_the_drivers_raise_by_themselves_is_sorted_by_its_class(driver: object) -> None:
    raised = {
        one
        for one in vars(driver).values()
        if isinstance(one, type) and issubclass(one, psycopg.Error | sqlite3.Error)
    }
    assert raised - set(BY_CLASS) == {driver.Error}  # type: ignore[attr-defined]


def test_every_result_code_of_sqlite_is_sorted() -> None:
    errors = sqlite_errors()
    assert {number for number in errors.values() if number < 256} == {
        number for number in BY_SQLITE_CODE if number < 256
    }
    for name, number in errors.items():
        error = sqlite3.OperationalError(name)
        error.sqlite_errorcode = number
        assert fault_of(error) is not None
        assert number & 0xFF in BY_SQLITE_CODE, name


def test_an_error_that_nobody_sorted_gets_a_new_session_and_is_told() -> None:
    class Unheard(psycopg.Error):
        sqlstate = "ZZ999"

    unheard = sqlite3.OperationalError()
    unheard.sqlite_errorcode = 99
    for error in (Unheard(), unheard, LookupError(), None):
        assert fault_of(error) is faults.UNKNOWN
    assert faults.UNKNOWN.handling is Handling.NEW_SESSION
    assert "Nothing was changed" in faults.UNKNOWN.error(Unheard()).sentence


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.code)
def test_each_kind_has_a_code_of_its_own_and_names_the_error(fault: faults.Fault) -> None:
    assert [one.code for one in faults.FAULTS].count(fault.code) == 1
    assert "(LookupError)" in fault.error(LookupError()).sentence


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("connection failed: FATAL:  sorry, too many clients already", faults.EXHAUSTED),
        ('FATAL:  password authentication failed for user "keeper"', faults.DENIED),
        ('FATAL:  database "nowhere" does not exist', faults.DENIED),
        ("FATAL:  the database system is starting up", faults.AWAY),
        ("connection timeout expired", faults.AWAY),
        ("session is read-only", faults.READ_ONLY),
    ],
)
def test_why_a_connection_failed_is_read_from_its_text(words: str, fault: faults.Fault) -> None:
    assert fault_of(psycopg.OperationalError(words)) is fault
