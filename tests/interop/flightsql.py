"""An unmodified ADBC driver against a real node.

Usage: flightsql.py PATH-OF-SPICED

Starts a standalone node over one CSV file, connects as any Python program would, and compares
every answer. Exits with 1 at the first difference.
"""

import json
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

from adbc_driver_flightsql import dbapi
import adbc_driver_manager

START_SECONDS = 60

CITIES = """\
id,name,population
1,Lima,10092000
2,Oslo,709037
3,Quito,1763275
4,Zürich,
"""

MANIFEST = """\
version: v1
kind: Spicepod
name: interop
datasets:
  - name: cities
    from: file:cities.csv
"""


class Node:
    """A standalone `spiced` on free ports; its log says which."""

    def __init__(self, program, directory):
        self.lines = []
        events = queue.Queue()
        self.process = subprocess.Popen(
            [
                program,
                str(directory),
                "--flight=127.0.0.1:0",
                "--http=127.0.0.1:0",
                f"--data-dir={directory / 'data'}",
                "--log-format=json",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._follow, args=(events,), daemon=True).start()
        try:
            self.flight = self._wait_until_ready(events)
        except BaseException:
            self.stop()
            raise

    def _follow(self, events):
        for line in self.process.stderr:
            self.lines.append(line)
            try:
                events.put(json.loads(line))
            except ValueError:
                pass
        events.put(None)

    def _wait_until_ready(self, events):
        flight = None
        while True:
            try:
                event = events.get(timeout=START_SECONDS)
            except queue.Empty:
                raise SystemExit("spiced is not ready:\n" + "".join(self.lines)) from None
            if event is None:
                raise SystemExit("spiced did not start:\n" + "".join(self.lines))
            if event.get("message") == "listening" and event.get("listener") == "flight":
                flight = event["address"]
            if event.get("message") == "ready":
                return flight

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit("spiced does not end on SIGTERM") from None


def same(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: expected {expected!r}, found {found!r}")
    print(f"ok: {what}")


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def check_queries(connection):
    same("a constant", rows(connection, "select 1 + 1"), [(2,)])
    same(
        "rows of a dataset, with a null and letters beyond ASCII",
        rows(connection, "select id, name, population from cities order by id"),
        [
            (1, "Lima", 10092000),
            (2, "Oslo", 709037),
            (3, "Quito", 1763275),
            (4, "Zürich", None),
        ],
    )
    same(
        "an aggregate",
        rows(connection, "select count(*), sum(population) from cities"),
        [(4, 12564312)],
    )
    same("no rows", rows(connection, "select name from cities where id > 9"), [])


def check_arrow(connection):
    with connection.cursor() as cursor:
        cursor.execute("select name from cities order by name desc limit 2")
        table = cursor.fetch_arrow_table()
    same("an Arrow table", table.to_pydict(), {"name": ["Zürich", "Quito"]})


def check_metadata(connection):
    objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    tables = {
        table["table_name"]
        for catalog in objects
        for schema in catalog["catalog_db_schemas"] or []
        for table in schema["db_schema_tables"] or []
    }
    same("the dataset is among the tables", "cities" in tables, True)
    same("there are table types", len(connection.adbc_get_table_types()) > 0, True)


def check_faults(connection):
    try:
        rows(connection, "select nothing from nowhere")
    except adbc_driver_manager.Error as error:
        same("a fault names what is wrong", "nowhere" in str(error), True)
    else:
        raise SystemExit("a query over a missing table has an answer")
    same("the connection goes on after a fault", rows(connection, "select 2"), [(2,)])


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory(prefix="spice-interop-") as name:
        directory = pathlib.Path(name)
        (directory / "cities.csv").write_text(CITIES, encoding="utf-8")
        (directory / "spicepod.yaml").write_text(MANIFEST, encoding="utf-8")
        node = Node(sys.argv[1], directory)
        try:
            with dbapi.connect(f"grpc://{node.flight}", autocommit=True) as connection:
                check_queries(connection)
                check_arrow(connection)
                check_metadata(connection)
                check_faults(connection)
        finally:
            status = node.stop()
        same("the node ends well", status, 0)


if __name__ == "__main__":
    main()
