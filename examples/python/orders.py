#!/usr/bin/python3
"""Orders in PostgreSQL, stock in MariaDB: an order is written down and its pieces are taken from the
stock, both or neither.

    orders.py --orders "host=127.0.0.1 dbname=shop user=shop" --orders-agent 127.0.0.1:7301 \\
              --stock "host=127.0.0.1 port=3306 user=shop database=shop" --stock-agent 127.0.0.1:7302 \\
              ARTICLE PIECES

It works with the databases through the drivers that Python programs use anyway, psycopg2 and PyMySQL,
and with Troth through grpcio and its .proto files. An agent runs beside each database; see README.md.

Prints "accepted TXID" and exits with 0; "refused TXID: why" with 1; 3 when the outcome is not known.
It makes the tables if they are not there, with 10 pieces of the articles 1, 2 and 3.
"""
import argparse
import itertools
import os
import pathlib
import sys
import tempfile
import time

import grpc
import psycopg2
import pymysql

PROTO = pathlib.Path(__file__).resolve().parent.parent.parent / "proto"
TRIES = 5
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class Refused(Exception):
    """For good: run again it would be refused again."""


class NotDone(Exception):
    """Nothing was done, and it may be tried again."""


class Unknown(Exception):
    """It was accepted or not, and nobody could say which."""


def compile_protos(root):
    """Compiles the .proto files to Python, in a folder that goes away again, and imports them."""
    import pkg_resources
    from grpc_tools import protoc

    well_known = pkg_resources.resource_filename("grpc_tools", "_proto")
    with tempfile.TemporaryDirectory() as out:
        files = [f"troth/v1/{name}.proto" for name in ("types", "transactions", "agent")]
        arguments = [f"-I{root}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc"] + arguments + files) != 0:
            sys.exit(f"orders.py: cannot compile the .proto files in {root}; see --proto")
        sys.path.insert(0, out)
        from troth.v1 import agent_pb2, agent_pb2_grpc, transactions_pb2, transactions_pb2_grpc, types_pb2
    return types_pb2, transactions_pb2, transactions_pb2_grpc, agent_pb2, agent_pb2_grpc


def parse_dsn(dsn):
    """"host=127.0.0.1 port=3306 user=shop" as PyMySQL's arguments."""
    values = dict(word.split("=", 1) for word in dsn.split())
    return {
        "host": values.get("host", "127.0.0.1"),
        "port": int(values.get("port", "3306")),
        "user": values.get("user"),
        "password": values.get("password", ""),
        "database": values.get("database"),
        "autocommit": True,  # the agent's statements begin and prepare the branch
    }


def words(error):
    """What a person should read of an error; gRPC's own text is a page."""
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.RpcError) else str(error).strip()


class Shop:
    def __init__(self, options):
        types, tx, tx_grpc, agent, agent_grpc = compile_protos(options.proto)
        self.types, self.tx, self.agent = types, tx, agent
        self.timeout_s = options.timeout_s
        self.nodes = [tx_grpc.TransactionsStub(grpc.insecure_channel(node)) for node in options.nodes.split(",")]
        self.orders_agent = agent_grpc.AgentStub(grpc.insecure_channel(options.orders_agent))
        self.stock_agent = agent_grpc.AgentStub(grpc.insecure_channel(options.stock_agent))
        self.orders_dsn, self.stock_dsn = options.orders, parse_dsn(options.stock)

    def dial(self):
        """A session with each database. psycopg2 and PyMySQL would begin transactions of their own:
        with autocommit they leave that to the agent's statements."""
        orders = psycopg2.connect(self.orders_dsn)
        orders.autocommit = True
        return orders, pymysql.connect(**self.stock_dsn)

    def make_tables(self):
        orders, stock = self.dial()
        with orders.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS orders (txid char(32) PRIMARY KEY, article int, pieces int)")
        with stock.cursor() as cursor:
            cursor.execute("SET sql_notes = 0")
            cursor.execute("CREATE TABLE IF NOT EXISTS stock (article int PRIMARY KEY, pieces int)")
            cursor.execute("INSERT IGNORE INTO stock VALUES (1, 10), (2, 10), (3, 10)")
        orders.close()
        stock.close()

    def ask_any(self, method, request):
        """Asks one node after the other until one answers: the outcome is the same wherever it is
        asked, and all of these calls may be repeated."""
        until = time.monotonic() + self.timeout_s
        for stub in itertools.cycle(self.nodes):
            left = until - time.monotonic()
            try:
                return getattr(stub, method)(request, timeout=max(0.1, min(2.0, left)))
            except grpc.RpcError as error:
                if error.code() not in GONE or left <= 0:
                    raise
                time.sleep(0.05)

    def work(self, txid, article, pieces):
        """The work, and the promises. Returns the branches, for the commit."""
        orders, stock = self.dial()
        try:
            # Before the first statement: from now on each database is in the transaction.
            request = self.agent.AgentEnlistRequest(txid=txid)
            in_orders = self.orders_agent.Enlist(request, timeout=self.timeout_s)
            in_stock = self.stock_agent.Enlist(request, timeout=self.timeout_s)
            with orders.cursor() as cursor:
                for statement in in_orders.begin_sql:
                    cursor.execute(statement)
                cursor.execute("INSERT INTO orders VALUES (%s, %s, %s)", (txid, article, pieces))
            with stock.cursor() as cursor:
                for statement in in_stock.begin_sql:
                    cursor.execute(statement)
                taken = cursor.execute(
                    "UPDATE stock SET pieces = pieces - %s WHERE article = %s AND pieces >= %s",
                    (pieces, article, pieces),
                )
                if taken == 0:
                    raise Refused("not enough in stock")
            # Once a database has given its promise, only the outcome ends it.
            with orders.cursor() as cursor:
                for statement in in_orders.prepare_sql:
                    cursor.execute(statement)
            with stock.cursor() as cursor:
                for statement in in_stock.prepare_sql:
                    cursor.execute(statement)
            return [in_orders.branch, in_stock.branch]
        except (psycopg2.Error, pymysql.Error, grpc.RpcError) as error:
            raise NotDone(words(error)) from error
        finally:
            # What was not prepared the servers roll back now; what was, the agents end.
            orders.close()
            stock.close()

    def try_order(self, article, pieces):
        """One transaction. Returns its txid, once it has committed."""
        txid = self.ask_any("Begin", self.tx.BeginRequest()).txid
        try:
            branches = self.work(txid, article, pieces)
        except (NotDone, Refused, psycopg2.Error, pymysql.Error) as error:
            try:
                self.ask_any("Abort", self.tx.AbortRequest(txid=txid))
            except grpc.RpcError:
                pass  # does no harm: only a commit could commit it, and nobody will ask for one
            kind = Refused if isinstance(error, Refused) else NotDone
            raise kind(f"{txid}: {words(error)}") from error
        try:
            reply = self.ask_any("Commit", self.tx.CommitRequest(txid=txid, branches=branches))
        except grpc.RpcError as error:
            # An error is no abort: it may have committed.
            raise Unknown(f"{txid}: {words(error)}; `troth tx get {txid}` will tell") from error
        if reply.outcome != self.types.OUTCOME_COMMITTED:
            known = reply.reason in self.types.AbortReason.values()  # a later version may say another
            reason = self.types.AbortReason.Name(reply.reason) if known else reply.reason
            raise NotDone(f"{txid}: {reason} {reply.detail}")
        return txid

    def place_order(self, article, pieces):
        for tried in range(1, TRIES + 1):
            try:
                return self.try_order(article, pieces)
            except NotDone:
                if tried == TRIES:
                    raise
                time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description="Places an order: written down, and taken from the stock.")
    parser.add_argument("--nodes", default=os.environ.get("TROTH_NODES", "127.0.0.1:7101"))
    parser.add_argument("--orders", required=True, help="the PostgreSQL database, as psql takes it")
    parser.add_argument("--orders-agent", default="127.0.0.1:7301", help="host:port of its troth-agent")
    parser.add_argument("--stock", required=True, help='the MariaDB database, "host=... port=... user=..."')
    parser.add_argument("--stock-agent", default="127.0.0.1:7302", help="host:port of its troth-agent")
    parser.add_argument("--timeout-s", type=float, default=10.0)
    parser.add_argument("--proto", default=str(PROTO), help="the folder that holds troth/v1/*.proto")
    parser.add_argument("article", type=int)
    parser.add_argument("pieces", type=int)
    options = parser.parse_args()
    shop = Shop(options)
    shop.make_tables()
    try:
        print(f"accepted {shop.place_order(options.article, options.pieces)}")
        return 0
    except (Refused, NotDone) as error:
        print(f"refused {error}")
        return 1
    except Unknown as error:
        print(f"unknown {error}")
        return 3


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (grpc.RpcError, psycopg2.Error, pymysql.Error) as error:
        print(f"orders.py: {words(error)}", file=sys.stderr)
        sys.exit(3)
