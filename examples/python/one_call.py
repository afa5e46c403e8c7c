#!/usr/bin/python3
"""An order at one shard and its piece from the stock at another, as one call that can't half happen.

    one_call.py --nodes 127.0.0.1:7101,127.0.0.1:7102 --shards shard-1,shard-2 7

The work for each shard goes with CommitWork to the node, which passes it on. So no shard is called from here: only their
names are needed. Prints "committed TXID" and exits with 0, or "aborted TXID: why" with 1, when there is such an order
already or nothing in stock (ABORT_REASON_VOTE), or when it may be run again (ABORT_REASON_CONFLICT: a lock was lost;
ABORT_REASON_BUSY, in a while: a shard had no room); or says on stderr what failed and exits with 3.
"""
import argparse
import os
import sys

import grpc

from client import PROTO, ask_any, compile_protos, reason_name


def main():
    parser = argparse.ArgumentParser(description="Writes an order down and takes its piece from the stock.")
    parser.add_argument("order")
    parser.add_argument("--nodes", default=os.environ.get("TROTH_NODES", "127.0.0.1:7101"))
    parser.add_argument("--shards", default=os.environ.get("TROTH_SHARDS", ""), help="two names; addresses are let be")
    parser.add_argument("--open", type=int, help="pieces to put into the stock first, if there is none yet")
    parser.add_argument("--timeout-s", type=float, default=10.0)
    parser.add_argument("--proto", default=str(PROTO), help="the folder that holds troth/v1/*.proto")
    options = parser.parse_args()
    shards = [item.partition("=")[0] for item in options.shards.split(",")]
    if len(shards) < 2 or not all(shards):
        parser.error("--shards (or $TROTH_SHARDS): give two")

    types, tx, tx_grpc, kv, _ = compile_protos(options.proto)
    nodes = [tx_grpc.TransactionsStub(grpc.insecure_channel(node)) for node in options.nodes.split(",")]

    def work(shard, *requests):
        return tx.Work(participant=shard, work=kv.KvRequests(requests=requests).SerializeToString())

    def commit(*works):
        """One transaction. The node that began it is given the work, once; if it does not answer, another one is asked to
        abort, and never to commit, which it could do only without the work."""
        for node in nodes:
            try:
                txid = node.Begin(tx.BeginRequest(), timeout=2).txid
                break
            except grpc.RpcError:
                if node is nodes[-1]:
                    raise
        try:
            return txid, node.CommitWork(tx.CommitWorkRequest(txid=txid, works=works), timeout=options.timeout_s)
        except grpc.RpcError as error:
            lost = error.details()
        try:
            reply = ask_any(nodes, "Abort", tx.AbortRequest(txid=txid), options.timeout_s)
        except grpc.RpcError as error:
            # An error is no abort: it may have committed.
            print(f"unknown {txid}: {error.details()}; `troth tx get {txid}` will tell", file=sys.stderr)
            sys.exit(3)
        if reply.reason == types.ABORT_REASON_CLIENT:
            reply.detail = lost
        return txid, reply

    # Set if it is absent, as the order below: `expected` is not given.
    if options.open is not None:
        pieces = kv.KvRequest(verb=kv.KV_VERB_COMPARE_AND_SET, key=b"py-stock", value=str(options.open).encode())
        commit(work(shards[1], pieces))

    order = kv.KvRequest(verb=kv.KV_VERB_COMPARE_AND_SET, key=f"py-order-{options.order}".encode(), value=b"1 piece")
    piece = kv.KvRequest(verb=kv.KV_VERB_ADD, key=b"py-stock", delta=-1, minimum=0)
    txid, reply = commit(work(shards[0], order), work(shards[1], piece))
    if reply.outcome != types.OUTCOME_COMMITTED:
        print(f"aborted {txid}: {reason_name(types, reply.reason)} {reply.detail}")
        return 1
    print(f"committed {txid}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as error:
        print(f"one_call.py: {error.code().name}: {error.details()}", file=sys.stderr)
        sys.exit(3)
