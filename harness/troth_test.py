"""troth_test: test your service against a coordinator crash.

An embedded Troth cluster for one test: real nodes and key-value shards as processes on loopback, on
ports that the system gives, with their files in a temporary folder. Each can be armed with a crash
point, at which it dies by SIGKILL as if its power were cut, and started again.

    with troth_test.Cluster(shards=2) as cluster:
        ... your service, with cluster.nodes and cluster.shards ...
        cluster.arm("node-1", "before.send.decision")
        ... let your service work until cluster.crashed("node-1") ...
        cluster.restart("node-1")
        cluster.wait_recovered()
        ... what must hold for your service? ...

docs/crash-testing.md is the guide, harness/troth_test.h the same for C. Python's own library is all
that is needed. The programs trothd, troth-shard and troth are found in the folder of a build or of
an installation: `bin_dir`, else $TROTH_BIN_DIR, else $PATH. They must be built with crash points
(./dev build crash); `trothd --list-crash-points` lists them.

Use a Cluster from one thread that lives as long as the test: the processes never outlive it. A test
that ends in its own way leaves no file; one that is killed, by SIGTERM too, leaves its folder.
"""

import atexit
import ctypes
import difflib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

READY_S = 60.0
_NODES_MAX = 31
_SHARDS_MAX = 64
STOP_S = 30.0
_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
# Shorter than the defaults, so that what is repeated and resolved is so within a test.
_QUICK = {"--repeat-ms": "300", "--resolve-ms": "1000", "--timeout-default-ms": "5000"}
_PLACES = {"trothd": "coordinator", "troth-shard": "participant/shard", "troth": "cli"}


class Error(Exception):
    """What failed, and what to do."""


def find_program(name, bin_dir=None):
    """The path of a program, as it is built below the folder, or as it is installed there."""
    folder = bin_dir or os.environ.get("TROTH_BIN_DIR")
    if folder:
        for path in (os.path.join(folder, _PLACES[name], name), os.path.join(folder, name)):
            if os.access(path, os.X_OK):
                return os.path.abspath(path)
        raise Error(f"{name} is not in {folder}: build it (./dev build crash)")
    path = shutil.which(name)
    if path is None:
        raise Error(f"{name} is not found: ./dev build crash, then give its folder as bin_dir, or "
                    "as TROTH_BIN_DIR, or put it on PATH")
    return path


class _Member:
    """One process, its folder, its log, and the port that is kept for it while it is dead."""

    def __init__(self, name, program, data):
        self.name = name
        self.program = program
        self.folder = os.path.join(data, name)
        self.log = os.path.join(data, name + ".log")
        self.args = []
        self.process = None
        self.armed = False
        # Bound and never listening: nobody else gets the port, and the process can.
        self.port = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.port.getsockname()[1]}"

    def is_node(self):
        return self.name.startswith("node-")

    def start(self, point):
        def die_with_the_test():
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        # Also when it is none: the test's own environment may have one, for its clients.
        environment = dict(os.environ, TROTH_CRASH_POINT=point or "")
        self.armed = point is not None
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, start_new_session=True, preexec_fn=die_with_the_test)

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def reached_its_point(self):
        return self.armed and not self.runs() and self.process.returncode == -signal.SIGKILL

    def answers(self):
        host, port = self.address.split(":")
        try:
            with socket.create_connection((host, int(port)), timeout=1):
                return True
        except OSError:
            return False

    def end_of_log(self):
        with open(self.log, "rb") as log:
            return log.read()[-1500:].decode(errors="replace")


class Cluster:
    """A running cluster; as a context manager it stops at the end."""

    def __init__(self, nodes=3, shards=0, bin_dir=None, data=None, node_args=()):
        """Starts it and waits until it is ready. `data`: the folder for files and logs, which then
        stay; else a temporary one. `node_args`: more flags for trothd."""
        if nodes not in range(1, _NODES_MAX + 1, 2):
            raise Error(f"{nodes} nodes: give an odd number from 1 to {_NODES_MAX}, since one more "
                        "survives no more failures")
        if shards not in range(_SHARDS_MAX + 1):
            raise Error(f"{shards} shards: give a number from 0 to {_SHARDS_MAX}")
        self._programs = {name: find_program(name, bin_dir) for name in _PLACES}
        self._temporary = data is None
        self.data = data or tempfile.mkdtemp(prefix="troth-")
        os.makedirs(self.data, exist_ok=True)
        self._members = {}
        self._owner = os.getpid()
        atexit.register(self._at_exit)
        try:
            self._make(nodes, shards, list(node_args))
            for member in self._members.values():
                member.start(None)
            self._wait_ready(READY_S, list(self._members.values()))
        except BaseException:
            self._kill_all()
            raise

    def _make(self, nodes, shards, node_args):
        for i in range(1, nodes + 1):
            self._members[f"node-{i}"] = _Member(f"node-{i}", self._programs["trothd"], self.data)
        for i in range(1, shards + 1):
            name = f"shard-{i}"
            self._members[name] = _Member(name, self._programs["troth-shard"], self.data)
        given = {argument.split("=")[0] for argument in node_args}
        quick = [word for flag in _QUICK if flag not in given for word in (flag, _QUICK[flag])]
        numbered = ",".join(f"{m.name[len('node-'):]}={m.address}" for m in self._of_kind(True))
        for member in self._of_kind(True):
            member.args = ["--node", member.name[len("node-"):], "--nodes", numbered,
                           "--data", member.folder, *quick, *node_args]
        for member in self._of_kind(False):
            member.args = ["--name", member.name, "--listen", member.address,
                           "--nodes", self.nodes, "--data", member.folder]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self._kill_all()

    # ---- What it is ------------------------------------------------------------------------

    @property
    def nodes(self):
        """host:port,host:port, for TROTH_NODES and clients."""
        return ",".join(member.address for member in self._of_kind(True))

    @property
    def shards(self):
        """shard-1=host:port,..., for TROTH_SHARDS and clients."""
        return ",".join(f"{member.name}={member.address}" for member in self._of_kind(False))

    def log(self, member):
        """The path of the member's log."""
        return self._member(member).log

    def crash_points(self):
        """All points, {name: {programs}}; Error when the programs have none."""
        listed = subprocess.run([self._programs["trothd"], "--list-crash-points"],
                                capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            raise Error(f"{self._programs['trothd']} has no crash points: build it with them "
                        "(./dev build crash) and give its folder as bin_dir or TROTH_BIN_DIR")
        points = {}
        for line in listed.stdout.splitlines():
            name, program = line.split()[:2]
            points.setdefault(name, set()).add(program)
        return points

    def troth(self, *args, check=True):
        """Runs the command troth on this cluster; what it prints."""
        environment = dict(os.environ, TROTH_NODES=self.nodes, TROTH_SHARDS=self.shards)
        environment.pop("TROTH_CRASH_POINT", None)
        run = subprocess.run([self._programs["troth"], *args], capture_output=True, text=True,
                             env=environment, check=False)
        if check and run.returncode != 0:
            raise Error(f"troth {' '.join(args)}: exit status {run.returncode}: {run.stderr}")
        return run.stdout

    # ---- Crashing --------------------------------------------------------------------------

    def arm(self, member, point):
        """Restarts the member, in order, so that it dies at the point ("NAME" or "NAME:COUNT"), and
        waits until it is ready again or, if the point is on that way, has died."""
        found = self._member(member)
        name, points = point.split(":")[0], self.crash_points()
        if name not in points:
            nearest = difflib.get_close_matches(name, points, n=1, cutoff=0)[0]
            raise Error(f"there is no crash point {name}; do you mean {nearest}? "
                        "trothd --list-crash-points lists all")
        programs = points[name]
        here = {"trothd"} if found.is_node() else {"libtroth-participant", "troth-shard"}
        if not programs & here:
            raise Error(f"{name} is a crash point of {', '.join(sorted(programs))}, not of "
                        f"{member}; a client's or service's own are armed in its environment, "
                        "TROTH_CRASH_POINT")
        self._start_again(found, point)

    def kill(self, member):
        """Kills it here and now."""
        found = self._member(member)
        if not found.runs():
            raise Error(f"{member} does not run")
        found.process.kill()
        found.process.wait()

    def crashed(self, member):
        """Whether the member is dead: has reached its point, or was killed."""
        found = self._member(member)
        if found.runs():
            return False
        if found.process.returncode != -signal.SIGKILL:
            raise Error(f"{member} has ended with {found.process.returncode}, and not of a crash "
                        f"point; its log ends with:\n{found.end_of_log()}")
        return True

    def wait_crashed(self, member, timeout_s=30.0):
        until = time.monotonic() + timeout_s
        while not self.crashed(member):
            if time.monotonic() >= until:
                raise Error(f"{member} has not reached its crash point in {timeout_s} s; did your "
                            "service use it?")
            time.sleep(_POLL_S)

    def restart(self, member):
        """Starts it again, without a point, and waits until it is ready. One that runs is stopped
        first, in order."""
        self._start_again(self._member(member), None)

    def wait_recovered(self, timeout_s=60.0):
        """Waits until all that run are ready and attached to each other, and no node has a
        transaction that is undecided, in doubt or not delivered to its participants. Let your
        clients rest, and restart who holds branches: a dead shard's are never delivered. What a
        dead client left open is aborted at its deadline, 5 s after begin if it gave none."""
        until = time.monotonic() + timeout_s
        self._wait_ready(timeout_s, self._running())
        while True:
            left = self._unfinished()
            if left is None:
                return
            if time.monotonic() >= until:
                raise Error(f"not recovered after {timeout_s} s: {left}")
            time.sleep(_POLL_S)

    def stop(self):
        """Stops all processes in order, and removes the temporary folder."""
        try:
            for member in reversed(list(self._members.values())):
                self._stop_one(member)
        finally:
            self._kill_all()
            atexit.unregister(self._at_exit)

    # ---- Inside ----------------------------------------------------------------------------

    def _of_kind(self, nodes):
        return [member for member in self._members.values() if member.is_node() == nodes]

    def _member(self, name):
        if name not in self._members:
            raise Error(f"there is no member {name}; there are {', '.join(self._members)}")
        return self._members[name]

    def _running(self):
        return [member for member in self._members.values() if member.runs()]

    def _start_again(self, member, point):
        self._stop_one(member)
        # Who ran before must still do so; whoever ends from here on is seen.
        others = [other for other in self._running() if other is not member]
        member.start(point)
        self._wait_ready(READY_S, [member, *others], started=member)

    def _stop_one(self, member):
        if not member.runs():
            return
        member.process.terminate()
        try:
            status = member.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            member.process.kill()
            member.process.wait()
            raise Error(f"{member.name} did not stop in {STOP_S} s; its log ends with:\n"
                        f"{member.end_of_log()}") from None
        # One that is armed may die of its point now. Of SIGTERM dies who was started a moment ago
        # and has done nothing yet: from its first line on it waits for that signal.
        if status not in (0, -signal.SIGKILL, -signal.SIGTERM):
            raise Error(f"{member.name} did not stop in order: status {status}; its log ends with:"
                        f"\n{member.end_of_log()}")

    def _at_exit(self):
        if os.getpid() == self._owner:  # and not a fork of the test
            self._kill_all()

    def _kill_all(self):
        for member in self._members.values():
            if member.runs():
                member.process.kill()
                member.process.wait()
            member.port.close()
        if self._temporary:
            shutil.rmtree(self.data, ignore_errors=True)

    def _status(self):
        text = self.troth("status", "--json", "--timeout-ms", "1000", check=False)
        try:
            return json.loads(text)
        except ValueError:
            return {"nodes": [], "participants": []}

    def _not_ready(self):
        """Whom is waited for, or None."""
        running = self._running()
        for member in running:
            if not member.answers():
                return f"{member.name} does not listen on {member.address}"
        status = self._status()
        nodes = {node["address"]: node for node in status["nodes"]}
        n_nodes = 0
        for member in running:
            if member.is_node():
                n_nodes += 1
                node = nodes.get(member.address, {})
                if not node.get("ready"):
                    return f"{member.name}: {node.get('waiting_for') or 'does not answer'}"
        attached = {one["participant"]: one["attached_nodes"] for one in status["participants"]}
        for member in running:
            if not member.is_node() and attached.get(member.name, 0) < n_nodes:
                return f"{member.name} is not attached to all nodes"
        return None

    def _wait_ready(self, timeout_s, watched, started=None):
        """Until all that run are ready, or `started` has reached its crash point. None of the
        watched may end meanwhile but of its own point."""
        until = time.monotonic() + timeout_s
        waits_for = "nobody"
        while time.monotonic() < until:
            for member in watched:
                if not member.runs() and not member.reached_its_point():
                    raise Error(f"{member.name} has ended with {member.process.returncode}; its "
                                f"log ends with:\n{member.end_of_log()}")
            if started is not None and started.reached_its_point():
                return
            waits_for = self._not_ready()
            # Whoever has ended since was not asked.
            if waits_for is None and all(m.runs() or m.reached_its_point() for m in watched):
                return
            time.sleep(_POLL_S)
        raise Error(f"not ready after {timeout_s} s: {waits_for}")

    def _unfinished(self):
        """What a running node has still to do, or None."""
        nodes = {node["address"]: node for node in self._status()["nodes"]}
        for member in self._of_kind(True):
            if not member.runs():
                continue
            counters = nodes.get(member.address, {}).get("counters")
            if not counters:
                return f"{member.name} does not answer"
            left = {name: counters[name] for name in ("in_flight", "in_doubt", "undelivered")
                    if counters[name] != 0}
            if left:
                return f"{member.name} still has {left}"
        return None
