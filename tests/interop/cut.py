"""A node behind a cable that is pulled and put back, while queries run.

Usage: cut.py DIRECTORY-OF-THE-BINARIES

The scheduler and one executor are on one machine, another executor is on a second one, as in
page.py. Exits with 1 when a query fails or has other rows, when the lost node is not given up, or
when it does not come back.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from page import READY_SECONDS, Machines, Node, isolated, run

FILES = 8
ROWS = 500

MANIFEST = """\
version: v1
kind: Spicepod
name: shop
datasets:
  - name: orders
    from: file:data/
    params:
      file_format: csv
"""

SQL = "SELECT count(*) AS n, sum(amount) AS total FROM orders"
EXPECTED = f"{FILES * ROWS},{sum(range(FILES * ROWS))}"

# Longer than pings go unanswered, a stream is missed, and a query takes to begin anew.
GIVEN_UP_SECONDS = 60

FILES_OF = (
    "--node-mtls-ca-certificate-file ca.pem --node-mtls-certificate-file {0}.pem"
    " --node-mtls-key-file {0}-key.pem"
)
SEED = "--scheduler-address https://scheduler1.cluster.local:50052"
READY = "curl --silent --output /dev/null --write-out '%{http_code}' localhost:8090/v1/ready"
TASKS = "curl --silent localhost:9090/metrics"


class Queries:
    """The same query all the time, and what was wrong with its answers."""

    def __init__(self, work):
        self.work = work
        self.right = 0
        self.faults = []
        self.changed = threading.Condition()
        self.ended = False
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self):
        while not self.ended:
            command = ["spice", "sql", "--query", SQL, "-o", "csv"]
            asked = subprocess.run(command, cwd=self.work, text=True, capture_output=True)
            with self.changed:
                if asked.stdout.strip().splitlines()[-1:] == [EXPECTED]:
                    self.right += 1
                else:
                    self.faults.append(f"{asked.stdout}{asked.stderr}")
                self.changed.notify_all()

    def go_on(self, more):
        with self.changed:
            wanted = self.right + more
            self.changed.wait_for(lambda: self.faults or self.right >= wanted, GIVEN_UP_SECONDS)
            if self.faults or self.right < wanted:
                sys.exit(f"queries do not go on: {self.faults}")

    def end(self):
        self.ended = True
        self.thread.join(GIVEN_UP_SECONDS)
        if self.thread.is_alive() or self.faults:
            sys.exit(f"a query was lost: {self.faults}")


def wait_for(node, text, times):
    """Waits until a node has said something so often."""

    def is_said():
        return sum(text in line for line in node.lines if line is not None) >= times

    with node.changed:
        if not node.changed.wait_for(is_said, GIVEN_UP_SECONDS):
            sys.exit(f"a node does not say {text!r} {times} times in {GIVEN_UP_SECONDS} s")


def look(machines, command):
    return run(machines.there(command), cwd=machines.work, capture_output=True).stdout


def tasks(machines):
    counted = [line for line in look(machines, TASKS).splitlines() if line.startswith("node_tasks_total")]
    return float(counted[0].split()[-1])


def works_again(machines, queries, before):
    deadline = time.monotonic() + READY_SECONDS
    while tasks(machines) <= before:
        if time.monotonic() > deadline:
            sys.exit("the node that came back gets no tasks")
        queries.go_on(1)


def start(machines):
    """The scheduler, the executor beside it, and the one on the other machine."""
    work = machines.work
    run("spice cluster tls init", shell=True, cwd=work, stdout=subprocess.DEVNULL)
    for name, host in [("scheduler1", "scheduler1"), ("executor1", "executor1"), ("executor2", "scheduler1")]:
        command = f"spice cluster tls add {name} --role {name[:-1]} --host {host}.cluster.local"
        run(command, shell=True, cwd=work, stdout=subprocess.DEVNULL)
    scheduler = (
        f"exec spiced --role scheduler {FILES_OF.format('scheduler1')}"
        " --node-advertise-address scheduler1.cluster.local --data-dir scheduler1"
    )
    near = (
        f"exec spiced --role executor {FILES_OF.format('executor2')} {SEED} --data-dir executor2"
        " --node-advertise-address scheduler1.cluster.local --node-bind-address 0.0.0.0:50062"
        " --http 127.0.0.1:8091 --task-slots 2"
    )
    far = (
        f"exec spiced --role executor {FILES_OF.format('executor1')} {SEED} --data-dir executor1"
        " --node-advertise-address executor1.cluster.local --metrics 127.0.0.1:9090 --task-slots 2"
    )
    places = {"scheduler": ["sh", "-c", scheduler], "near": ["sh", "-c", near], "far": machines.there(far)}
    for name, place in places.items():
        machines.nodes[name] = Node(place, work)
    for name in places:
        machines.nodes[name].wait_for(" ready ")
    wait_for(machines.nodes["scheduler"], "executor connected", 2)


def cut(machines):
    start(machines)
    scheduler, far = machines.nodes["scheduler"], machines.nodes["far"]
    queries = Queries(machines.work)
    queries.go_on(3)
    if look(machines, READY) != "200":
        sys.exit("the executor on the other machine is not ready")
    run("ip link set here down", shell=True)
    print("the cable is out", flush=True)
    wait_for(scheduler, "executor left", 1)
    wait_for(far, "control stream lost", 1)
    queries.go_on(3)
    if look(machines, READY) != "503":
        sys.exit("an executor that is cut off says that it is ready")
    before = tasks(machines)
    run("ip link set here up", shell=True)
    print("the cable is in", flush=True)
    wait_for(scheduler, "executor connected", 3)
    works_again(machines, queries, before)
    if look(machines, READY) != "200":
        sys.exit("the executor that came back is not ready")
    queries.end()
    print(f"{queries.right} queries, none of them lost", flush=True)


def inside():
    with tempfile.TemporaryDirectory(prefix="cut-") as directory:
        work = pathlib.Path(directory)
        os.environ["HOME"] = str(work / "home")
        os.environ["PATH"] = f"{pathlib.Path(sys.argv[1]).resolve()}:{os.environ['PATH']}"
        os.environ.pop("SPICE_PKI_DIR", None)
        (work / "home").mkdir()
        (work / "data").mkdir()
        for file in range(FILES):
            rows = range(file * ROWS, (file + 1) * ROWS)
            text = "amount\n" + "".join(f"{row}\n" for row in rows)
            (work / f"data/{file}.csv").write_text(text)
        (work / "spicepod.yaml").write_text(MANIFEST)
        machines = Machines(work)
        try:
            cut(machines)
        finally:
            machines.stop()


if __name__ == "__main__":
    isolated(inside)
