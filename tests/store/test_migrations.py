"""From nothing to this version's tables and back, in a checkout and from the installed package."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Barrier

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import ProgrammingError
from store_examples import add_grant

from bot.core.errors import StoreUnavailable
from bot.core.planner import Owner
from bot.store import migrate, stores, tables
from bot.store.database import Database

CHECKOUT = Path(__file__).parents[2]
TABLES = set(tables.metadata.tables)


@pytest.fixture
def empty_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without any table."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = request.getfixturevalue("postgresql")
    name = server.create()
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    with closing(Database(empty_url)) as opened:
        yield opened


def tables_of(tx: Connection) -> set[str]:
    return set(inspect(tx).get_table_names())


def test_there_is_one_newest_revision_and_one_way_to_it() -> None:
    scripts = ScriptDirectory(str(migrate.migrations_folder()))
    assert scripts.get_heads() == [migrate.head()]
    assert len(scripts.get_bases()) == 1
    revisions = list(scripts.walk_revisions())
    assert all(not one.is_merge_point and not one.is_branch_point for one in revisions)
    assert all(one.doc for one in revisions), "each says what it does"


def test_migrating_an_empty_database_makes_exactly_the_tables_of_this_version(
    empty: Database,
) -> None:
    assert migrate.upgrade(empty) == (None, migrate.head())
    with empty.reading() as tx:
        assert tables_of(tx) == TABLES | {"alembic_version"}
    assert migrate.check(empty) == []
    migrate.ensure_current(empty)


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert migrate.upgrade(database) == (migrate.head(), migrate.head())
    assert migrate.check(database) == []


def test_the_partial_index_holds_only_what_waits(database: Database) -> None:
    # Alembic does not compare the condition of an index.
    with database.reading() as tx:
        (waiting,) = [
            index
            for index in inspect(tx).get_indexes("requests")
            if index["name"] == "uq_requests_waiting"
        ]
    assert waiting["unique"]
    condition = str(waiting["dialect_options"][f"{database.engine.dialect.name}_where"])
    assert "state" in condition
    assert "'PENDING'" in condition


def test_a_difference_between_tables_and_migrations_is_found(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text("DROP INDEX ix_inbox_due_at"))
        tx.execute(text("ALTER TABLE requests ADD COLUMN colour VARCHAR(10)"))
    assert len(migrate.check(database)) == 2


def test_going_back_to_nothing_leaves_no_table_and_forward_again_works(
    database: Database,
) -> None:
    migrate.downgrade(database, "base")
    with database.reading() as tx:
        assert tables_of(tx) == {"alembic_version"}
    migrate.upgrade(database)
    assert migrate.check(database) == []


def test_a_migration_that_fails_leaves_nothing_half_done(empty: Database) -> None:
    with empty.transaction() as tx:
        tx.execute(text("CREATE TABLE reviews (id INTEGER)"))  # in the way of the last table
    with pytest.raises((StoreUnavailable, ProgrammingError)):
        migrate.upgrade(empty)
    with empty.reading() as tx:
        assert tables_of(tx) == {"reviews"}


def test_a_database_from_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (migrate.upgrade, migrate.check, migrate.ensure_current):
        with pytest.raises(StoreUnavailable) as refused:
            use(database)
        assert refused.value.code == "database_newer"
        assert "revision 9999" in refused.value.sentence
        assert "newer version" in refused.value.sentence
    with database.reading() as tx:
        assert tx.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_an_empty_database_is_told_with_the_remedy(empty: Database) -> None:
    with pytest.raises(StoreUnavailable, match="`eks-access db upgrade`") as refused:
        migrate.ensure_current(empty)
    assert refused.value.code == "database_behind"
    (finding,) = migrate.check(empty)
    assert "at nothing" in finding
    assert "`eks-access db upgrade`" in finding


def test_several_replicas_may_migrate_at_once(empty_url: str, database_kind: str) -> None:
    replicas = 3
    if database_kind == "postgresql":
        empty_url += "&options=-c%20lock_timeout%3D5s"
    start = Barrier(replicas, timeout=10)

    def upgrade(database: Database) -> tuple[str | None, str]:
        start.wait()
        return migrate.upgrade(database)

    with ExitStack() as stack, ThreadPoolExecutor(replicas) as threads:
        databases = [stack.enter_context(closing(Database(empty_url))) for _ in range(replicas)]
        results = list(threads.map(upgrade, databases))
        assert sorted(results, key=str) == sorted(
            [(None, migrate.head()), *[(migrate.head(), migrate.head())] * (replicas - 1)], key=str
        )
        assert migrate.check(databases[0]) == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked as an installation would."""
    hatchling = pytest.importorskip("hatchling.builders.wheel", reason="builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = hatchling.WheelBuilder(str(CHECKOUT)).build(
        directory=str(folder), versions=["standard"]
    )
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site-packages")
    return folder / "site-packages"


def test_the_installed_package_brings_its_migrations(empty_url: str, installed: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bot.store import migrate\n"
        "from bot.store.database import Database\n"
        "assert Path(migrate.__file__).is_relative_to(sys.argv[2])\n"
        "assert migrate.migrations_folder().is_relative_to(sys.argv[2])\n"
        "database = Database(sys.argv[1])\n"
        "print(*migrate.upgrade(database), migrate.check(database))\n"
        "database.close()\n"
    )
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", program, empty_url, str(installed)],
        env=os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=installed.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"None {migrate.head()} []\n", "")


def test_a_store_that_gave_access_before_identities_knows_for_which_deployment(
    database: Database,
) -> None:
    """Entries of those deployments bear no identity, and are its own."""
    with database.transaction() as tx:
        add_grant(tx)
        stores.ensure_identity(tx)
        deployment = tx.scalars(text("SELECT deployment FROM entries")).one()
    migrate.downgrade(database, "0015")
    migrate.upgrade(database)
    with database.reading() as tx:
        assert stores.owner(tx, deployment) == Owner(deployment, None, frozenset({""}))
        assert stores.owner(tx, "another") == Owner("another")
