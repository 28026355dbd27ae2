"""What each error of the drivers means: whether its session can go on, and who has to act.

Every SQLSTATE that psycopg knows and every result code of SQLite is sorted here on purpose, after
PostgreSQL's "Appendix A. Error Codes" and SQLite's "Result and Error Codes". What nobody sorted
counts as UNKNOWN: a new session, told, and the work goes on.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import Enum, auto

import psycopg

from bot.core.errors import StoreUnavailable


class Handling(Enum):
    """What is done about an error, beside telling whoever asked.

    NEW_SESSION: no session from before is used again. SAME_SESSION: sessions are as good as before.
    OURS: a programming error, raised as it is. Nothing is repeated here: the loops do at their next
    tick, and people may.
    """

    NEW_SESSION = auto()
    SAME_SESSION = auto()
    OURS = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of trouble. `sentence` has a place for the name of the error."""

    handling: Handling
    code: str
    sentence: str

    def error(self, cause: BaseException | None) -> StoreUnavailable:
        """The error for the person. The driver's message may name host and user: only the log."""
        return StoreUnavailable(self.code, self.sentence.format(type(cause).__name__))


AWAY = Fault(
    Handling.NEW_SESSION,
    "store_unavailable",
    "The database of eks-access does not answer ({}). Nothing was changed. "
    "Whoever runs the bot finds the cause in its log.",
)
READ_ONLY = Fault(
    Handling.NEW_SESSION,
    "store_read_only",
    "The database of eks-access takes no writes ({}): it is read-only. Nothing was changed. "
    "An operator makes it writable, and a running bot goes on without a restart. If another server "
    "takes the writes now, they set DATABASE_URL to it and start the bot again.",
)
FULL = Fault(
    Handling.SAME_SESSION,
    "store_full",
    "The database of eks-access is full ({}). Nothing was changed. An operator makes room; a "
    "running bot then goes on without a restart.",
)
DAMAGED = Fault(
    Handling.NEW_SESSION,
    "store_damaged",
    "The database of eks-access is damaged, or its disk fails ({}). Nothing was changed. "
    "An operator stops the bot and restores a backup.",
)
BUSY = Fault(
    Handling.SAME_SESSION,
    "store_busy",
    "The database of eks-access is busy: others hold what this needs ({}). Nothing was changed. "
    "It can work a moment later. If it stays so, an operator ends what holds the lock.",
)
EXHAUSTED = Fault(
    Handling.SAME_SESSION,
    "store_exhausted",
    "The database of eks-access has no memory or no connection left ({}). Nothing was changed. "
    "An operator raises the server's limits, or ends what uses them up.",
)
DENIED = Fault(
    Handling.SAME_SESSION,
    "store_denied",
    "The database of eks-access refuses the connection, or does not exist ({}). Nothing was "
    "changed. An operator corrects DATABASE_URL, the password or the permissions.",
)
CHANGED = Fault(
    Handling.NEW_SESSION,
    "store_changed",
    "The tables or the session that eks-access works on changed under it ({}). Nothing was "
    "changed by this. If it happens again, an operator runs `eks-access db check`.",
)
UNREADABLE = Fault(
    Handling.SAME_SESSION,
    "store_unreadable",
    "The database of eks-access holds text that is not UTF-8 ({}). Nothing was changed. "
    "eks-access never writes such text: an operator finds out what else writes to the file.",
)
UNKNOWN = Fault(
    Handling.NEW_SESSION,
    "store_failed",
    "The database of eks-access failed in a way that eks-access does not know ({}). Nothing was "
    "changed. Whoever runs the bot finds the cause in its log.",
)
OURS = Fault(Handling.OURS, "", "")

FAULTS = (AWAY, READ_ONLY, FULL, DAMAGED, BUSY, EXHAUSTED, DENIED, CHANGED, UNREADABLE, UNKNOWN)
TOLD_BY_THE_DRIVER = frozenset(fault.code for fault in FAULTS)
"""The codes whose cause is an error of the driver, which has more to say to an operator."""

_BY_FAULT = (
    (AWAY, "08000 08001 08003 08004 08006 08007 08P01 25P03 25P04 40003 55000 57000 57P01"),
    (AWAY, "57P02 57P03 57P04 57P05"),
    (READ_ONLY, "25006"),
    (FULL, "53100"),
    (DAMAGED, "58000 58030 58P01 58P02 58P03 XX001 XX002"),
    (BUSY, "40000 40001 40P01 55006 55P03 57014 72000"),
    (EXHAUSTED, "53000 53200 53300 53400"),
    (DENIED, "0P000 28000 28P01 3D000 42501"),
    # Of 0A000 nothing is used here but "cached plan must not change result type". A pooler that
    # swaps sessions answers 26000 and 42P05.
    (CHANGED, "0A000 26000 3F000 42703 42P01 42P05"),
    (UNKNOWN, "F0000 F0001 XX000"),
    (UNKNOWN, "HV000 HV001 HV002 HV004 HV005 HV006 HV007 HV008 HV009 HV00A HV00B HV00C HV00D"),
    (UNKNOWN, "HV00J HV00K HV00L HV00M HV00N HV00P HV00Q HV00R HV010 HV014 HV021 HV024 HV090"),
    (UNKNOWN, "HV091"),
    (OURS, "02000 02001 03000 09000 0B000 0F000 0F001 0L000 0LP01 0Z000 0Z002 10608 20000 21000"),
    (OURS, "22000 22001 22002 22003 22004 22005 22007 22008 22009 2200B 2200C 2200D 2200F 2200G"),
    (OURS, "2200H 2200L 2200M 2200N 2200S 2200T 22010 22011 22012 22013 22014 22015 22016 22018"),
    (OURS, "22019 2201B 2201E 2201F 2201G 2201W 2201X 22021 22022 22023 22024 22025 22026 22027"),
    (OURS, "2202E 2202G 2202H 22030 22031 22032 22033 22034 22035 22036 22037 22038 22039 2203A"),
    (OURS, "2203B 2203C 2203D 2203E 2203F 2203G 22P01 22P02 22P03 22P04 22P05 22P06"),
    (OURS, "23000 23001 23502 23503 23505 23514 23P01 24000"),
    (OURS, "25000 25001 25002 25003 25004 25005 25007 25008 25P01 25P02 27000 2B000 2BP01 2D000"),
    (OURS, "2F000 2F002 2F003 2F004 2F005 34000 38000 38001 38002 38003 38004 39000 39001 39004"),
    (OURS, "39P01 39P02 39P03 3B000 3B001 40002 42000 42601 42602 42611 42622 42701 42702 42704"),
    (OURS, "42710 42712 42723 42725 42803 42804 42809 42830 42846 42883 428C9 42939 42P02 42P03"),
    (OURS, "42P04 42P06 42P07 42P08 42P09 42P10 42P11 42P12 42P13 42P14 42P15 42P16 42P17 42P18"),
    (OURS, "42P19 42P20 42P21 42P22 44000 54000 54001 54011 54023 55P02 55P04"),
    (OURS, "P0000 P0001 P0002 P0003 P0004"),
)
BY_SQLSTATE = {code: fault for fault, codes in _BY_FAULT for code in codes.split()}

BY_SQLITE_CODE = {
    sqlite3.SQLITE_ERROR: CHANGED,  # also "no such table"
    sqlite3.SQLITE_INTERNAL: UNKNOWN,
    sqlite3.SQLITE_PERM: DENIED,
    sqlite3.SQLITE_ABORT: BUSY,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_NOMEM: EXHAUSTED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_INTERRUPT: BUSY,
    sqlite3.SQLITE_IOERR: DAMAGED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTFOUND: UNKNOWN,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: DENIED,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_EMPTY: UNKNOWN,
    sqlite3.SQLITE_SCHEMA: CHANGED,
    sqlite3.SQLITE_TOOBIG: OURS,
    sqlite3.SQLITE_CONSTRAINT: OURS,
    sqlite3.SQLITE_MISMATCH: OURS,
    sqlite3.SQLITE_MISUSE: OURS,
    sqlite3.SQLITE_NOLFS: UNKNOWN,
    sqlite3.SQLITE_AUTH: DENIED,
    sqlite3.SQLITE_FORMAT: UNKNOWN,
    sqlite3.SQLITE_RANGE: OURS,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_NOTICE: UNKNOWN,
    sqlite3.SQLITE_WARNING: UNKNOWN,
    # An extended code has the meaning of its last byte, but where it stands here by itself.
    sqlite3.SQLITE_ERROR_SNAPSHOT: BUSY,
    sqlite3.SQLITE_IOERR_NOMEM: EXHAUSTED,
    sqlite3.SQLITE_IOERR_BLOCKED: BUSY,
    sqlite3.SQLITE_READONLY_RECOVERY: BUSY,
}

BY_CLASS: dict[type[BaseException], Fault] = {
    psycopg.InterfaceError: AWAY,
    psycopg.OperationalError: AWAY,
    psycopg.DataError: OURS,
    psycopg.IntegrityError: OURS,
    psycopg.ProgrammingError: OURS,
    psycopg.NotSupportedError: OURS,
    psycopg.InternalError: UNKNOWN,
    psycopg.DatabaseError: UNKNOWN,
    sqlite3.InterfaceError: OURS,
    sqlite3.DataError: OURS,
    sqlite3.IntegrityError: OURS,
    sqlite3.ProgrammingError: OURS,
    sqlite3.NotSupportedError: OURS,
    sqlite3.OperationalError: UNREADABLE,  # its only one without a code
    sqlite3.InternalError: UNKNOWN,
    sqlite3.DatabaseError: UNKNOWN,
    OSError: AWAY,
}
"""What the drivers raise by themselves, without a code of the database."""

_WHILE_CONNECTING = (
    ("session is read-only", READ_ONLY),  # it is not `target_session_attrs=read-write`
    ("server is in hot standby", READ_ONLY),
    ("too many connections", EXHAUSTED),
    ("too many clients", EXHAUSTED),
    ("remaining connection slots", EXHAUSTED),
    ("no more connections allowed", EXHAUSTED),  # PgBouncer
    ("authentication failed", DENIED),
    ("no password supplied", DENIED),
    ("permission denied", DENIED),
    ("no pg_hba", DENIED),
    ('role "', DENIED),  # does not exist, is not permitted to log in
    ('database "', DENIED),  # does not exist, is not accepting connections
    ("no such database", DENIED),  # PgBouncer
)
"""Of a connection that failed libpq gives no SQLSTATE, only the text. Other languages say AWAY."""


def fault_of(error: BaseException | None) -> Fault:
    """The kind of trouble that an error of a driver is."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return BY_SQLSTATE.get(error.sqlstate, UNKNOWN)
    if isinstance(error, psycopg.OperationalError):
        said = str(error)
        return next((fault for words, fault in _WHILE_CONNECTING if words in said), AWAY)
    number = getattr(error, "sqlite_errorcode", None)
    if number is not None:
        return BY_SQLITE_CODE.get(number) or BY_SQLITE_CODE.get(number & 0xFF, UNKNOWN)
    return next((BY_CLASS[one] for one in type(error).__mro__ if one in BY_CLASS), UNKNOWN)
