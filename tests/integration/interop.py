#!/usr/bin/python3
"""A foreign client, with no files of Troth's at hand: everything that it knows of the services it
learns by server reflection. Each check names itself when it fails; exits with 0 when all hold.

    interop.py --nodes HOST:PORT,... --shards NAME=HOST:PORT,...
"""
import argparse
import queue
import sys
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
HEALTH = "/grpc.health.v1.Health/Check"
TIMEOUT_S = 20

# The two standard services' own messages, written down as their publishers define them.
STANDARD_PROTO = """
syntax = "proto3";
package standard;
message ReflectionRequest {
  string host = 1;
  string file_by_filename = 3;
  string file_containing_symbol = 4;
  string list_services = 7;
}
message FileDescriptorReply { repeated bytes file_descriptor_proto = 1; }
message Service { string name = 1; }
message ServiceList { repeated Service service = 1; }
message Error { int32 error_code = 1; string error_message = 2; }
message ReflectionReply {
  FileDescriptorReply file_descriptor_response = 4;
  ServiceList list_services_response = 6;
  Error error_response = 7;
}
message HealthRequest { string service = 1; }
message HealthReply { int32 status = 1; }
"""
SERVING = 1
COMMITTED, ABORTED = 1, 2
REASON_VOTE = 2
PUT, COMPARE_AND_SET = 2, 5  # of KvVerb
BEGIN, COMMIT_WORK = 1, 6  # of SessionKind


def message_class(pool, name):
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(name))


def standard_messages():
    """STANDARD_PROTO's messages, compiled in memory."""
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/standard.proto", "w", encoding="utf-8") as file:
            file.write(STANDARD_PROTO)
        out = f"{folder}/out"
        if protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={out}", "standard.proto"]) != 0:
            sys.exit("interop.py: protoc failed")
        with open(out, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for one in files.file:
        pool.Add(one)
    return lambda name: message_class(pool, f"standard.{name}")


class Server:
    """One server, known by reflection alone."""

    def __init__(self, address, standard):
        self.channel = grpc.insecure_channel(address)
        self.standard = standard
        self.pool = descriptor_pool.DescriptorPool()
        self.files = set()
        self.known_services = set()

    def reflect(self, **question):
        request = self.standard("ReflectionRequest")(**question)
        reply_class = self.standard("ReflectionReply")
        call = self.channel.stream_stream(
            REFLECTION,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply_class.FromString,
        )
        return next(call(iter([request]), timeout=TIMEOUT_S, wait_for_ready=True))

    def services(self):
        return {one.name for one in self.reflect(list_services="*").list_services_response.service}

    def _add(self, reply):
        """Files come with their imports or name them; those that are missing are asked for."""
        files = [
            descriptor_pb2.FileDescriptorProto.FromString(one)
            for one in reply.file_descriptor_response.file_descriptor_proto
        ]
        for file in reversed(files):
            if file.name in self.files:
                continue
            self.files.add(file.name)
            for dependency in file.dependency:
                if dependency not in self.files and dependency not in {one.name for one in files}:
                    self._add(self.reflect(file_by_filename=dependency))
            self.pool.Add(file)

    def described(self, service, method):
        """The classes of a method's request and reply."""
        if service not in self.known_services:
            self._add(self.reflect(file_containing_symbol=service))
            self.known_services.add(service)
        described = self.pool.FindServiceByName(service).methods_by_name[method]
        return (message_class(self.pool, one.full_name) for one in (described.input_type, described.output_type))

    def call(self, service, method, **fields):
        request_class, reply_class = self.described(service, method)
        request = request_class(**fields)
        call = self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply_class.FromString,
        )
        return call(request, timeout=TIMEOUT_S)

    def stream(self, service, method):
        """A function that sends a frame of requests, numbered from 1, and gives the replies in that order."""
        frame_class, reply_class = self.described(service, method)
        call = self.channel.stream_stream(
            f"/{service}/{method}",
            request_serializer=frame_class.SerializeToString,
            response_deserializer=reply_class.FromString,
        )
        frames = queue.Queue()
        answers = call(iter(frames.get, None), timeout=TIMEOUT_S)

        def ask(*requests):
            frames.put(frame_class(requests=[dict(one, number=i + 1) for i, one in enumerate(requests)]))
            replies = {}
            while len(replies) < len(requests):
                for reply in next(answers).replies:
                    check(1 <= reply.number <= len(requests), f"an answer to request {reply.number}")
                    check(reply.number not in replies, f"two answers to request {reply.number}")
                    replies[reply.number] = reply
            return [replies[i + 1] for i in range(len(requests))]

        return ask

    def health(self, service):
        request = self.standard("HealthRequest")(service=service)
        reply_class = self.standard("HealthReply")
        call = self.channel.unary_unary(
            HEALTH,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply_class.FromString,
        )
        return call(request, timeout=TIMEOUT_S).status


def check(holds, what):
    if not holds:
        sys.exit(f"interop.py: {what}")


def refused(call, code, what):
    try:
        reply = call()
    except grpc.RpcError as error:
        check(error.code() == code, f"{what}: {error.code()} {error.details()}")
        check(error.details(), f"{what}: it says nothing")
    else:
        sys.exit(f"interop.py: {what} was taken: {reply}")


def check_standard_services(node, shard):
    check(
        {"troth.v1.Transactions", "troth.v1.Admin", "grpc.health.v1.Health"} <= node.services(),
        f"a node lists {node.services()}",
    )
    check("troth.v1.KeyValue" in shard.services(), f"a shard lists {shard.services()}")
    for server, services in ((node, ("", "troth.v1.Transactions")), (shard, ("", "troth.v1.KeyValue"))):
        for service in services:
            check(server.health(service) == SERVING, f"the service \"{service}\" is not SERVING")
        refused(lambda one=server: one.health("no.such.Service"), grpc.StatusCode.NOT_FOUND, "an unknown service's health")
    error = node.reflect(file_containing_symbol="no.such.Symbol").error_response
    check(error.error_code == grpc.StatusCode.NOT_FOUND.value[0], f"an unknown symbol: {error}")


def check_transaction(node, shards):
    """Over both shards, from descriptors that the servers gave."""
    txid = node.call("troth.v1.Transactions", "Begin").txid
    branches = []
    for name, shard in shards.items():
        reply = shard.call("troth.v1.KeyValue", "Put", txid=txid, key=b"interop", value=txid.encode(), shard=name)
        branches.append({"participant": reply.branch.participant, "incarnation": reply.branch.incarnation})
    outcome = node.call("troth.v1.Transactions", "Commit", txid=txid, branches=branches).outcome
    check(outcome == COMMITTED, f"the outcome is {outcome}")
    check_values(shards, b"interop", txid.encode(), "Commit")
    return txid


def check_placement(shards):
    """A call that reaches another shard than it names."""
    for name in shards:
        for other in shards:
            if other != name:
                refused(
                    lambda one=shards[other], meant=name: one.call("troth.v1.KeyValue", "Get", key=b"k", shard=meant),
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"a call for {name} at {other}",
                )


def work_for(name, shard, **request):
    """What a participant is to do, as its own descriptors have it."""
    frame_class, _ = shard.described("troth.v1.KeyValue", "Session")
    return {"participant": name, "work": frame_class(requests=[request]).SerializeToString()}


def check_values(shards, key, value, what):
    for shard in shards.values():
        got = shard.call("troth.v1.KeyValue", "Get", key=key)
        check(got.value == value, f"{what}: a shard has {got.value!r} instead of {value!r}")


def check_work(node, shards):
    """Work that comes with Commit, unary and on the stream: done, refused by one, and for nobody."""
    names = list(shards)

    def works(key, value):
        return [work_for(name, shard, verb=PUT, key=key, value=value) for name, shard in shards.items()]

    def works_that_fail(key):
        """The second shard is to set what must be absent, and is there."""
        wrong = work_for(names[1], shards[names[1]], verb=COMPARE_AND_SET, key=key, value=b"wrong")
        return works(key, b"half")[:1] + [wrong]

    def check_refusal(reply, what):
        check(reply.outcome == ABORTED and reply.reason == REASON_VOTE, f"{what}: {reply}")
        check(names[1] in reply.detail and "compare-and-set" in reply.detail, f"{what} says \"{reply.detail}\"")

    def begin():
        return node.call("troth.v1.Transactions", "Begin").txid

    def commit_work(txid, works):
        return node.call("troth.v1.Transactions", "CommitWork", txid=txid, works=works)

    txid = begin()
    outcome = commit_work(txid, works(b"work", txid.encode())).outcome
    check(outcome == COMMITTED, f"CommitWork: the outcome is {outcome}")
    check_values(shards, b"work", txid.encode(), "CommitWork")
    check_refusal(commit_work(begin(), works_that_fail(b"work")), "work that one refuses")
    check_values(shards, b"work", txid.encode(), "work that one refuses")
    nobody = [{"participant": "nobody", "work": b"x"}]
    refused(lambda: commit_work(begin(), nobody), grpc.StatusCode.UNAVAILABLE, "work for nobody")

    ask = node.stream("troth.v1.Transactions", "Session")
    [begun] = ask({"kind": BEGIN, "count": 3})
    check(begun.status == 0 and begun.count == 3, f"Begin on the stream: {begun}")
    first = int.from_bytes(begun.txid, "big")
    txids = [(first + i).to_bytes(16, "big") for i in range(3)]
    value = txids[0].hex().encode()
    # The one that fails has a key of its own: they go on at the same time.
    done, failed, unsent = ask(
        {"kind": COMMIT_WORK, "txid": txids[0], "works": works(b"stream", value)},
        {"kind": COMMIT_WORK, "txid": txids[1], "works": works_that_fail(b"work")},
        {"kind": COMMIT_WORK, "txid": txids[2], "works": nobody},
    )
    check(done.status == 0 and done.outcome == COMMITTED, f"CommitWork on the stream: {done}")
    check(failed.status == 0, f"work that one refuses, on the stream: {failed}")
    check_refusal(failed, "work that one refuses, on the stream")
    check(unsent.status == grpc.StatusCode.UNAVAILABLE.value[0] and unsent.detail, f"work for nobody, on the stream: {unsent}")
    check_values(shards, b"stream", value, "CommitWork on the stream")
    check_values(shards, b"work", txid.encode(), "work that one refuses, on the stream")


def check_sizes(node, shard):
    """What is over the limit of a frame, from a client that does not keep to it."""
    refused(
        lambda: shard.call("troth.v1.KeyValue", "Put", key=b"k", value=b"v" * (5 << 20)),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "a request over 4 MiB",
    )
    frame = b"\x0a\x80\x80\xc0\x02" + bytes(5 << 20)  # one message of 5 MiB
    for method in ("/troth.v1.Participants/Attach", "/troth.v1.Nodes/Connect"):
        call = node.channel.stream_stream(method)
        refused(
            lambda one=call: list(one(iter([frame]), timeout=TIMEOUT_S)),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"a frame over 4 MiB to {method}",
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", required=True)
    parser.add_argument("--shards", required=True)
    options = parser.parse_args()
    standard = standard_messages()
    nodes = [Server(one, standard) for one in options.nodes.split(",")]
    shards = {one.partition("=")[0]: Server(one.partition("=")[2], standard) for one in options.shards.split(",")}
    shard = next(iter(shards.values()))
    check_standard_services(nodes[0], shard)
    check_sizes(nodes[0], shard)
    check_placement(shards)
    for node in nodes:
        check_work(node, shards)
        txid = check_transaction(node, shards)
    print(txid)


if __name__ == "__main__":
    main()
