#!/usr/bin/python3
"""A transaction over two shards from Python, with nothing but grpcio and Troth's .proto files.

    client.py --nodes 127.0.0.1:7101,127.0.0.1:7102 --shards a=127.0.0.1:7201,b=127.0.0.1:7202

Moves money from an account at the first shard to one at the second. Prints "committed TXID" and
exits with 0, or "aborted TXID: why" with 1, or says on stderr what failed and exits with 3.
"""
import argparse
import itertools
import os
import pathlib
import sys
import tempfile
import time

import grpc

PROTO = pathlib.Path(__file__).resolve().parent.parent.parent / "proto"


def compile_protos(root):
    """Compiles the .proto files to Python, in a folder that goes away again, and imports them."""
    import pkg_resources
    from grpc_tools import protoc

    well_known = pkg_resources.resource_filename("grpc_tools", "_proto")
    names = ["types", "transactions", "keyvalue"]
    with tempfile.TemporaryDirectory() as out:
        files = [f"troth/v1/{name}.proto" for name in names]
        arguments = [f"-I{root}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc"] + arguments + files) != 0:
            sys.exit(f"client.py: cannot compile the .proto files in {root}; see --proto")
        sys.path.insert(0, out)
        from troth.v1 import keyvalue_pb2, keyvalue_pb2_grpc
        from troth.v1 import transactions_pb2, transactions_pb2_grpc, types_pb2
    return types_pb2, transactions_pb2, transactions_pb2_grpc, keyvalue_pb2, keyvalue_pb2_grpc


def ask_any(stubs, method, request, timeout_s):
    """Asks one node after the other until one answers: the outcome is the same wherever it is
    asked, and all of these calls may be repeated."""
    until = time.monotonic() + timeout_s
    for stub in itertools.cycle(stubs):
        left = until - time.monotonic()
        try:
            return getattr(stub, method)(request, timeout=max(0.1, min(2.0, left)))
        except grpc.RpcError as error:
            gone = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            if error.code() not in gone or left <= 0:
                raise
            time.sleep(0.05)


def reason_name(types, reason):
    """For people. A node or participant of a later version may say a reason that is not in these .proto files."""
    return types.AbortReason.Name(reason) if reason in types.AbortReason.values() else str(reason)


def main():
    parser = argparse.ArgumentParser(description="Moves money between two shards.")
    parser.add_argument("--nodes", default=os.environ.get("TROTH_NODES", "127.0.0.1:7101"))
    parser.add_argument("--shards", default=os.environ.get("TROTH_SHARDS"), help="name=host:port,name=host:port")
    parser.add_argument("--from-key", default="python-alice", help="the account at the first shard")
    parser.add_argument("--to-key", default="python-bob", help="the account at the second shard")
    parser.add_argument("--amount", type=int, default=10)
    parser.add_argument("--timeout-s", type=float, default=10.0)
    parser.add_argument("--proto", default=str(PROTO), help="the folder that holds troth/v1/*.proto")
    options = parser.parse_args()
    shards = [item.partition("=") for item in (options.shards or "").split(",")]
    if len(shards) < 2 or not all(name and address for name, _, address in shards):
        parser.error("--shards (or $TROTH_SHARDS): give two, as name=host:port,name=host:port")

    types, tx, tx_grpc, kv, kv_grpc = compile_protos(options.proto)
    nodes = [tx_grpc.TransactionsStub(grpc.insecure_channel(node)) for node in options.nodes.split(",")]
    # Each call says which shard it means: with the addresses mixed up, another one refuses it.
    (payer_name, _, _), (payee_name, _, _) = shards[:2]
    payer, payee = (kv_grpc.KeyValueStub(grpc.insecure_channel(address)) for _, _, address in shards[:2])
    from_key, to_key = options.from_key.encode(), options.to_key.encode()

    # Opens the account with 100 if it is not there: a transaction of its own.
    try:
        opening = kv.KvCompareAndSetRequest(shard=payer_name, key=from_key, value=b"100")
        payer.CompareAndSet(opening, timeout=options.timeout_s)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
            raise

    txid = ask_any(nodes, "Begin", tx.BeginRequest(), options.timeout_s).txid
    try:
        took = payer.Add(
            kv.KvAddRequest(txid=txid, shard=payer_name, key=from_key, delta=-options.amount, minimum=0),
            timeout=options.timeout_s,
        )
        gave = payee.Add(
            kv.KvAddRequest(txid=txid, shard=payee_name, key=to_key, delta=options.amount), timeout=options.timeout_s
        )
    except grpc.RpcError as error:
        ask_any(nodes, "Abort", tx.AbortRequest(txid=txid), options.timeout_s)
        print(f"aborted {txid}: {error.details()}")
        return 1

    request = tx.CommitRequest(txid=txid, branches=[took.branch, gave.branch])
    try:
        reply = ask_any(nodes, "Commit", request, options.timeout_s)
    except grpc.RpcError as error:
        # An error is no abort: it may have committed.
        print(f"unknown {txid}: {error.details()}; `troth tx get {txid}` will tell", file=sys.stderr)
        return 3
    if reply.outcome != types.OUTCOME_COMMITTED:
        print(f"aborted {txid}: {reason_name(types, reply.reason)} {reply.detail}")
        return 1
    print(f"committed {txid}")
    print(f"{options.from_key} {took.value}")
    print(f"{options.to_key} {gave.value}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as error:
        print(f"client.py: {error.code().name}: {error.details()}", file=sys.stderr)
        sys.exit(3)
