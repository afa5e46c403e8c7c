#!/usr/bin/env python3
"""A test of a service against a coordinator crash; docs/crash-testing.md goes through it.

The service takes orders: each takes one piece from the stock and writes itself down, on two shards.
The test kills a coordinator at one point after the other while orders come in, and then every order
that was accepted must be there once, and every piece.

It uses harness/troth_test.py and, to be short, the command `troth` for the service.
"""

import os
import subprocess
import sys

import troth_test  # PYTHONPATH has its folder: harness/, or share/troth of an installation

PIECES = 10000
ORDERS_MAX = 300  # for a point: it must be reached by then
POINTS = ["before.send.prepare", "after.send.prepare", "before.reply.committed",
          "before.send.decision", "after.send.decision"]


class Service:
    """Takes orders."""

    def __init__(self, nodes, shards):
        self.troth = troth_test.find_program("troth")
        self.environment = dict(os.environ, TROTH_NODES=nodes, TROTH_SHARDS=shards)

    def run(self, *args):
        return subprocess.run([self.troth, *args], env=self.environment, capture_output=True,
                              text=True, check=False)

    def try_order(self, number):
        """One try; whether the order was accepted."""
        begun = self.run("tx", "begin")
        if begun.returncode != 0:
            return False  # nothing was begun: not accepted, and that is certain
        txid = begun.stdout.split()[0]
        for work in (["kv", "add", "stock", "-1", "--tx", txid],
                     ["kv", "put", f"order-{number}", "1", "--tx", txid]):
            if self.run(*work).returncode != 0:
                self.run("tx", "abort", txid)
                return False  # never asked to commit: it can't be
        while True:
            status = self.run("tx", "commit", txid).returncode
            if status in (0, 1):
                return status == 0
            # Not known is not aborted. Asking again gives the one outcome.

    def place_order(self, number):
        while not self.try_order(number):
            pass


def check(cluster, orders):
    pieces = int(cluster.troth("kv", "get", "stock"))
    there = sum(line.startswith("order-") for line in cluster.troth("kv", "scan").splitlines())
    if there != orders or pieces != PIECES - orders:
        sys.exit(f"accepted {orders} orders; there are {there}, and {pieces} of {PIECES} pieces")


def main():
    with troth_test.Cluster(nodes=3, shards=2) as cluster:
        service = Service(cluster.nodes, cluster.shards)
        cluster.troth("kv", "put", "stock", str(PIECES))
        orders = 0
        for point in POINTS:
            cluster.arm("node-1", point)
            # The nodes take turns; one that was away is tried again after a second.
            for _ in range(ORDERS_MAX):
                if cluster.crashed("node-1"):
                    break
                service.place_order(orders)
                orders += 1
            cluster.wait_crashed("node-1", timeout_s=0)
            service.place_order(orders)  # the others go on without it
            orders += 1
            cluster.restart("node-1")
            cluster.wait_recovered()
            check(cluster, orders)
            print(f"killed at {point}: all {orders} orders are there", flush=True)


if __name__ == "__main__":
    main()
