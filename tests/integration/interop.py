#!/usr/bin/python3
"""A foreign client, with no files of Troth's at hand: everything that it knows of the services it
learns by server reflection. Each check names itself when it fails; exits with 0 when all hold.

    interop.py --nodes HOST:PORT,... --shards NAME=HOST:PORT,...
"""
import argparse
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

    def call(self, service, method, **fields):
        if service not in self.known_services:
            self._add(self.reflect(file_containing_symbol=service))
            self.known_services.add(service)
        described = self.pool.FindServiceByName(service).methods_by_name[method]
        request = message_class(self.pool, described.input_type.full_name)(**fields)
        reply_class = message_class(self.pool, described.output_type.full_name)
        call = self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply_class.FromString,
        )
        return call(request, timeout=TIMEOUT_S)

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
    for shard in shards:
        reply = shard.call("troth.v1.KeyValue", "Put", txid=txid, key=b"interop", value=txid.encode())
        branches.append({"participant": reply.branch.participant, "incarnation": reply.branch.incarnation})
    outcome = node.call("troth.v1.Transactions", "Commit", txid=txid, branches=branches).outcome
    check(outcome == 1, f"the outcome is {outcome}")
    for shard in shards:
        value = shard.call("troth.v1.KeyValue", "Get", key=b"interop").value
        check(value == txid.encode(), f"a shard has {value!r} instead of {txid}")
    return txid


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
    shards = [Server(one.partition("=")[2], standard) for one in options.shards.split(",")]
    check_standard_services(nodes[0], shards[0])
    check_sizes(nodes[0], shards[0])
    for node in nodes:
        txid = check_transaction(node, shards)
    print(txid)


if __name__ == "__main__":
    main()
