"""The pages "A cluster by hand" and "Certificates over time" of the README, typed as they stand.

Usage: page.py DIRECTORY-OF-THE-BINARIES README

Two machines are two network namespaces with a cable between them, so that every node has its
ports for itself and nothing of this machine is touched. The only thing that the page takes for
granted is given to it there: the names of the machines. Exits with 1 at the first command that
does not do what the page says.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

READY_SECONDS = 60

ADDRESSES = {"scheduler1": "10.77.0.1", "executor1": "10.77.0.2"}

ORDERS = "id,amount\n1,10\n2,20\n3,30\n"

MANIFEST = """\
version: v1
kind: Spicepod
name: shop
datasets:
  - name: orders
    from: file:data/orders.csv
"""

# Where this program goes on once it has namespaces of its own.
INSIDE = "PAGE_INSIDE"


def commands(readme, heading):
    """The commands of the console blocks under a heading, continuation lines joined."""
    section = readme.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    for block in re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL):
        text = block.replace("\\\n", " ")
        yield [line[2:].split("  # ")[0].strip() for line in text.splitlines() if line.startswith("$ ")]


def run(command, **options):
    return subprocess.run(command, check=True, text=True, **options)


class Machines:
    """The scheduler's machine is where this program runs; the executor's is a namespace."""

    def __init__(self, work):
        self.work = work
        self.nodes = {}
        hosts = work / "hosts"
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        lines += [f"{address} {name}.cluster.local {name}" for name, address in ADDRESSES.items()]
        hosts.write_text("\n".join(lines) + "\n")
        run(["mount", "--bind", str(hosts), "/etc/hosts"])
        # It ends with the process namespace, as everything does that is started here.
        self.other = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.cable()

    def cable(self):
        run("ip link set lo up", shell=True)
        run("ip link add here type veth peer name there", shell=True)
        self.wait_for_namespace()
        run(f"ip link set there netns {self.other.pid}", shell=True)
        run(f"ip addr add {ADDRESSES['scheduler1']}/24 dev here && ip link set here up", shell=True)
        far = f"ip link set lo up && ip addr add {ADDRESSES['executor1']}/24 dev there && ip link set there up"
        run(self.there(far))

    def wait_for_namespace(self):
        own = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + READY_SECONDS
        while os.readlink(f"/proc/{self.other.pid}/ns/net") == own:
            if time.monotonic() > deadline:
                sys.exit("the second network namespace does not come up")
            os.sched_yield()

    def there(self, command):
        return ["nsenter", "--net", "--target", str(self.other.pid), "sh", "-c", command]

    def start(self, command):
        """Starts a node on the machine that its role belongs to."""
        role = "executor" if "--role executor" in command else "scheduler"
        place = ["sh", "-c", f"exec {command}"]
        if role == "executor":
            place = self.there(f"exec {command}")
        self.nodes[role] = Node(place, self.work)

    def look(self, command):
        """What the executor's machine sees of its own files and of the scheduler, at once."""
        print(f"$ {command}", flush=True)
        run(self.there(command), cwd=self.work, stdout=subprocess.DEVNULL)

    def stop(self):
        for node in self.nodes.values():
            node.process.kill()
            node.process.wait()


class Node:
    """A node whose log says what became of it."""

    def __init__(self, place, work):
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(place, cwd=work, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        for line in self.process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            self._tell(line)
        self._tell(None)

    def _tell(self, line):
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def wait_for(self, text):
        """Waits until the log says something, or the node has ended."""

        def is_said():
            return any(line is None or text in line for line in self.lines)

        with self.changed:
            if not self.changed.wait_for(is_said, READY_SECONDS):
                sys.exit(f"a node does not say {text!r} in {READY_SECONDS} s")
            if self.lines[-1] is None:
                sys.exit(f"a node ended and did not say {text!r}")


def type_page(machines, readme):
    """Types the first block of the page; returns what its last command answered."""
    first, *_ = commands(readme, "A cluster by hand")
    answer = ""
    for command in first:
        print(f"$ {command}", flush=True)
        if command.startswith("spiced "):
            machines.start(command)
        elif command.startswith("curl "):
            # It answers when the executor has come; until then the page would be typed again.
            machines.nodes["scheduler"].wait_for("executor connected")
            failing = command.replace("curl ", "curl --silent --fail ", 1)
            run(failing, shell=True, cwd=machines.work, stdout=subprocess.DEVNULL)
        else:
            answer = run(command, shell=True, cwd=machines.work, capture_output=True).stdout
    return answer


def serials(work):
    """The serial number of each node's newest certificate, as the authority has it."""
    listed = run("spice cluster tls list -o json", shell=True, cwd=work, capture_output=True).stdout
    return {one["name"]: one["serial"] for one in json.loads(listed)["certificates"]}


def type_pages(machines, readme):
    answer = type_page(machines, readme)
    if "| 3 " not in answer:
        sys.exit(f"the page ends with other rows: {answer}")
    looks = [line for block in commands(readme, "What is protected, and how") for line in block]
    for command in looks:
        machines.look(command)
    before = serials(machines.work)
    for command in [line for block in commands(readme, "Certificates over time") for line in block]:
        print(f"$ {command}", flush=True)
        run(command, shell=True, cwd=machines.work, stdout=subprocess.DEVNULL)
    after = serials(machines.work)
    # The nodes follow by themselves; then each takes the certificate of the new root.
    for role, name in [("scheduler", "scheduler1"), ("executor", "executor1")]:
        if before[name] == after[name]:
            sys.exit(f"{name} was not renewed")
        machines.nodes[role].wait_for(after[name])
    for command in looks:
        machines.look(command)
    print("the pages work as they stand", flush=True)


def inside(binaries, readme):
    with tempfile.TemporaryDirectory(prefix="page-") as directory:
        work = pathlib.Path(directory)
        os.environ["HOME"] = str(work / "home")
        os.environ["PATH"] = f"{binaries}:{os.environ['PATH']}"
        os.environ.pop("SPICE_PKI_DIR", None)
        (work / "home").mkdir()
        (work / "data").mkdir()
        (work / "data/orders.csv").write_text(ORDERS)
        (work / "spicepod.yaml").write_text(MANIFEST)
        machines = Machines(work)
        try:
            type_pages(machines, readme)
        finally:
            machines.stop()


def isolated(inside):
    """Runs a function where this program has namespaces of its own, and ends with it."""
    if os.environ.get(INSIDE):
        return inside()
    namespaces = ["--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    again = [sys.executable, *sys.argv]
    ended = subprocess.run(["unshare", *namespaces, *again], env={**os.environ, INSIDE: "1"})
    sys.exit(ended.returncode)


def main():
    binaries, page = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    isolated(lambda: inside(binaries, page.read_text()))


if __name__ == "__main__":
    main()
