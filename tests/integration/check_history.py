#!/usr/bin/env python3
"""Checks a history of clients (docs/histories.md) and names what is wrong with it.

    check_history.py FILE.edn|FILE.jsonl ... [--total N]

Lists (f is txn): the history must be strictly serializable. The order of a list's versions is read
from the lists themselves; from it come the dependencies between transactions (ww, wr, rw: Adya's,
as in Kingsbury & Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB
2020), and rt: one ended before the other began. A cycle of them is an anomaly:

    G0        ww alone              G-single   exactly one rw
    G1c       ww and wr             G2-item    several rw

and each with "-realtime" when only rt closes it. Besides: G1a (read of what a failed transaction
wrote), G1b (read of another's intermediate state), internal (a transaction that contradicts its own
steps), incompatible-order, duplicate-elements, phantom (a value that nobody appended), lost-update.

Bank (f is transfer or read): every read sees the same accounts and the same total (--total N: that
one), no balance below 0, and on each account what the transfers make of its share of the total: all
that had ended as ok before the read began, and any of those that were under way or have no outcome.
(Each account for itself: that is less than strict serializability.)

What is no well-formed history at all, or has no operation that ended, is "malformed".

Exit status: 0 nothing is wrong, 1 something is, 2 a file can't be read.
"""
import argparse
import collections
import json
import re
import sys

SHOWN = 10  # anomalies of one kind that are printed

# ---- Reading ------------------------------------------------------------------------------------

TOKEN = re.compile(r'[\s,]+|;[^\n]*|([\[\]{}])|"((?:[^"\\]|\\.)*)"|([^\s,\[\]{}"]+)')
WORDS = {"nil": None, "true": True, "false": False}


def edn_tokens(text):
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError("not EDN: %r" % text[at : at + 40])
        at = match.end()
        if match.group(1):
            yield match.group(1), None
        elif match.group(2) is not None:
            yield "value", re.sub(r"\\(.)", r"\1", match.group(2))
        elif match.group(3):
            word = match.group(3)
            if word[0] == ":":
                yield "value", word[1:]
            else:
                yield "value", WORDS[word] if word in WORDS else int(word)


def edn_value(tokens, kind, value):
    if kind == "value":
        return value
    end = {"[": "]", "{": "}"}[kind]
    items = []
    for kind, value in tokens:
        if kind == end:
            return items if end == "]" else dict(zip(items[0::2], items[1::2]))
        items.append(edn_value(tokens, kind, value))
    raise ValueError("not EDN: a bracket is not closed")


def read_edn(line):
    tokens = edn_tokens(line)
    return edn_value(tokens, *next(tokens))


def read_history(path):
    """The events of a file. A last line that was cut off is left out, with all that it stands for."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    lines.pop()  # what comes after the last end of line: nothing, or what was cut
    read = read_edn if path.endswith(".edn") else json.loads
    return [read(line) for line in lines if line.strip() and not line.lstrip().startswith(";")]


# ---- Transactions -------------------------------------------------------------------------------


class Report:
    def __init__(self):
        self.found = collections.OrderedDict()

    def add(self, kind, text):
        self.found.setdefault(kind, []).append(text)


class Txn:
    """One operation: what was invoked, and how it ended."""

    def __init__(self, event):
        self.f = event["f"]
        self.process = event["process"]
        self.invoked = event["index"]
        self.ended = None  # the index of ok or fail; None: it may have no end
        self.type = "info"
        self.value = event["value"]

    def __str__(self):
        return "%d (process %d, %s) %s" % (self.invoked, self.process, self.type, self.value)


def same_call(a, b):
    """Whether a completion is of what was invoked: all but what was read."""
    if not isinstance(a, list) or not isinstance(b, list):
        return a is None or a == b
    return [s[:2] if s[0] == "r" else s for s in a] == [s[:2] if s[0] == "r" else s for s in b]


def pair(events, report):
    """Joins each invocation with its end, and checks the form."""
    txns, busy, crashed, last_time = [], {}, set(), 0
    for n, event in enumerate(events):
        process = event["process"]
        if event["index"] != n:
            report.add("malformed", "line %d has index %d" % (n, event["index"]))
        if event["time"] < last_time:
            report.add("malformed", "time falls at %d" % n)
        last_time = event["time"]
        if event["type"] == "invoke":
            if process in busy or process in crashed:
                report.add("malformed", "process %d invokes %d before its last ended" % (process, n))
            busy[process] = Txn(event)
            txns.append(busy[process])
            continue
        txn = busy.pop(process, None)
        if txn is None or txn.f != event["f"] or not same_call(txn.value, event["value"]):
            report.add("malformed", "%d ends what process %d did not invoke" % (n, process))
            continue
        txn.type = event["type"]
        if event["type"] == "info":
            crashed.add(process)
        else:
            txn.ended = n
        if event["type"] == "ok":
            txn.value = event["value"]
    return txns


# ---- Bank ---------------------------------------------------------------------------------------


def check_bank(txns, total, report):
    accounts = None
    for txn in txns:
        if txn.f != "read" or txn.type != "ok":
            continue
        balances = txn.value
        total = sum(balances.values()) if total is None else total
        accounts = set(balances) if accounts is None else accounts
        if set(balances) != accounts:
            report.add("wrong-accounts", str(txn))
        if sum(balances.values()) != total:
            report.add("wrong-total", "%d instead of %d: %s" % (sum(balances.values()), total, txn))
        if min(balances.values(), default=0) < 0:
            report.add("negative-balance", str(txn))
    if accounts and total % len(accounts) == 0 and not report.found:
        check_balances(txns, dict.fromkeys(accounts, total // len(accounts)), report)


def change(transfer, account):
    value = transfer.value
    return value["amount"] * ((value["to"] == account) - (value["from"] == account))


def check_balance(txn, account, balance, sure, may):
    """What is wrong with a balance, or None."""
    amounts = {transfer.invoked: change(transfer, account) for transfer in may if change(transfer, account) != 0}
    least, bits = 0, 1  # bit n: some of them add up to n more than the least
    for amount in amounts.values():
        least += min(amount, 0)
        bits |= bits << abs(amount)
    more = balance - sure - least
    if more >= 0 and bits >> more & 1:
        return None
    return "account %s has %d; %d are sure, and what may count is %s: %s" % (account, balance, sure, amounts, txn)


def check_balances(txns, balances, report):
    """Goes through the history, with what is sure so far. JSON's accounts are strings."""
    named = {int(account): account for account in balances}
    moments = [(at, txn) for txn in txns for at in (txn.invoked, txn.ended) if at is not None and txn.type != "fail"]
    settled, open_ones, began = [], {}, {}  # transfers: in the order of their ends; without an end yet
    for at, txn in sorted(moments, key=lambda moment: moment[0]):
        begins = at == txn.invoked
        if txn.f == "transfer" and begins:
            open_ones[txn] = True
        elif txn.f == "transfer":
            del open_ones[txn]
            settled.append(txn)
            for account in (txn.value["from"], txn.value["to"]):
                balances[named[account]] += change(txn, account)
        elif begins:
            began[txn] = (dict(balances), len(settled))
        else:
            sure, n = began.pop(txn)
            may = settled[n:] + list(open_ones)
            for account, name in named.items():
                wrong = check_balance(txn, account, txn.value[name], sure[name], may)
                if wrong is not None:
                    report.add("wrong-balance", wrong)


# ---- Lists: each transaction for itself ---------------------------------------------------------


def external_reads(txn, report):
    """What the transaction read first of each key, without what it had appended itself, by key."""
    first, known, own = {}, {}, collections.defaultdict(list)
    for f, key, value in txn.value:
        if f == "append":
            own[key].append(value)
            continue
        value = value or []
        if key in known:
            if value != known[key] + own[key]:
                report.add("internal", "key %s in %s" % (key, txn))
        else:
            mine = own[key]
            if value[len(value) - len(mine) :] != mine:
                report.add("internal", "key %s in %s" % (key, txn))
                continue
            first[key] = value[: len(value) - len(mine)]
        known[key], own[key] = value, []
    return first


class Lists:
    """All that is known of the lists."""

    def __init__(self, txns, report):
        self.report = report
        self.writer = {}  # (key, value): the transaction
        self.last_of = {}  # (transaction, key): the last value that it appended
        for txn in txns:
            for f, key, value in txn.value:
                if f == "append":
                    if (key, value) in self.writer:
                        report.add("malformed", "%s is appended to %s twice" % (value, key))
                    self.writer[key, value] = txn
                    self.last_of[txn, key] = value
        self.reads = {t: external_reads(t, report) for t in txns if t.type == "ok"}
        self.versions = {}  # key: its longest list
        for txn in self.reads:
            for f, key, value in txn.value:
                if f == "r" and len(value or []) > len(self.versions.get(key, [])):
                    self.versions[key] = value
        seen = {self.writer.get((k, v)) for k, values in self.versions.items() for v in values}
        self.committed = [t for t in txns if t.type == "ok" or (t.type == "info" and t in seen)]
        # Appended for sure, since their transactions committed (an info that is seen anywhere did,
        # as a whole), and in no list that was read: behind all that was.
        self.unread = collections.defaultdict(list)
        committed = set(self.committed)
        for (key, value), txn in self.writer.items():
            if txn in committed and value not in self.versions.get(key, []):
                self.unread[key].append(txn)

    def check_values(self):
        report = self.report
        for key, values in self.versions.items():
            if len(set(values)) != len(values):
                report.add("duplicate-elements", "key %s: %s" % (key, values))
        for txn, reads in self.reads.items():
            for f, key, value in txn.value:
                if f == "r" and (value or []) != self.versions.get(key, [])[: len(value or [])]:
                    report.add("incompatible-order", "key %s: %s and %s" % (key, value, self.versions[key]))
            for key, values in reads.items():
                self.check_read(txn, key, values)

    def check_read(self, txn, key, values):
        report = self.report
        for value in values:
            writer = self.writer.get((key, value))
            if writer is None:
                report.add("phantom", "%s in key %s: %s" % (value, key, txn))
            elif writer is txn:
                report.add("internal", "reads its own later append to key %s: %s" % (key, txn))
            elif writer.type == "fail":
                report.add("G1a", "%s\n      reads %s of key %s, written by\n    %s" % (txn, value, key, writer))
        if values:
            writer = self.writer.get((key, values[-1]))
            if writer is not None and writer is not txn and self.last_of[writer, key] != values[-1]:
                report.add("G1b", "%s\n      reads a state of key %s in the middle of\n    %s" % (txn, key, writer))

    def check_lost_updates(self):
        based = collections.defaultdict(list)
        for txn, reads in self.reads.items():
            for key, values in reads.items():
                if (txn, key) in self.last_of:
                    based[key, tuple(values)].append(txn)
        for (key, values), txns in based.items():
            if len(txns) > 1:
                self.report.add("lost-update", "key %s, all from %s:\n    %s" % (key, list(values), "\n    ".join(map(str, txns))))


# ---- Lists: dependencies and their cycles -------------------------------------------------------


class Graph:
    """Transactions, and edges with a kind and a reason."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.edges = {node: {} for node in nodes}  # from: {to: {kind: reason}}

    def add(self, kind, a, b, reason):
        if a is not b and a in self.edges and b in self.edges:
            self.edges[a].setdefault(b, {}).setdefault(kind, reason)

    def after(self, node, kinds):
        return [to for to, edge in self.edges[node].items() if any(kind in edge for kind in kinds)]

    def components(self, kinds):
        """Strongly connected, of more than one node (Tarjan 1972, without recursion)."""
        number, low, stack, on_stack, found = {}, {}, [], set(), []
        for root in self.nodes:
            if root in number:
                continue
            work = [(root, iter(self.after(root, kinds)))]
            number[root] = low[root] = len(number)
            stack.append(root)
            on_stack.add(root)
            while work:
                node, rest = work[-1]
                for to in rest:
                    if to not in number:
                        number[to] = low[to] = len(number)
                        stack.append(to)
                        on_stack.add(to)
                        work.append((to, iter(self.after(to, kinds))))
                        break
                    if to in on_stack:
                        low[node] = min(low[node], number[to])
                else:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[node])
                    if low[node] == number[node]:
                        part = set()
                        while node not in part:
                            part.add(stack.pop())
                        on_stack -= part
                        if len(part) > 1:
                            found.append(part)
        return found

    def path(self, start, goal, kinds, within):
        """The shortest, as a list of nodes; or None."""
        before, queue = {start: None}, collections.deque([start])
        while queue:
            node = queue.popleft()
            if node is goal:
                path = []
                while node is not None:
                    path.append(node)
                    node = before[node]
                return path[::-1]
            for to in self.after(node, kinds):
                if to in within and to not in before:
                    before[to] = node
                    queue.append(to)
        return None

    def cycle(self, first, rest, within):
        """One edge of a kind in `first`, and a way back by those in `rest`."""
        for a in sorted(within, key=lambda txn: txn.invoked):
            for b in self.after(a, [first]):
                path = self.path(b, a, rest, within) if b in within else None
                if path is not None:
                    return [a] + path
        return None

    def explain(self, cycle, kinds):
        lines = []
        for a, b in zip(cycle, cycle[1:]):
            edge = self.edges[a][b]
            kind = next(kind for kind in kinds if kind in edge)
            lines.append("%s\n      %s: %s" % (a, kind, edge[kind]))
        return "\n    ".join(lines + [str(cycle[-1])])


def add_dependencies(graph, lists):
    for key, values in lists.versions.items():
        writers = [lists.writer.get((key, value)) for value in values]
        for i in range(1, len(values)):
            graph.add("ww", writers[i - 1], writers[i], "%s before %s in key %s" % (values[i - 1], values[i], key))
        for txn in lists.unread[key]:
            graph.add("ww", writers[-1], txn, "%s of key %s, and it has no place before that" % (values[-1], key))
    for txn, reads in lists.reads.items():
        for key, values in reads.items():
            versions = lists.versions.get(key, [])
            if values:
                graph.add("wr", lists.writer.get((key, values[-1])), txn, "reads %s of key %s" % (values[-1], key))
            if len(values) < len(versions):
                value = versions[len(values)]
                graph.add("rw", txn, lists.writer.get((key, value)), "does not see %s of key %s" % (value, key))
            else:
                for other in lists.unread.get(key, []):
                    graph.add("rw", txn, other, "does not see its append to key %s" % key)


def add_real_time(graph):
    """An edge from each that had ended to each that began later, but for those that follow from
    others: only the last to end are kept."""
    moments = [(txn.invoked, True, txn) for txn in graph.nodes]
    moments += [(txn.ended, False, txn) for txn in graph.nodes if txn.ended is not None]
    last, before = set(), {}
    for _, begins, txn in sorted(moments, key=lambda moment: moment[0]):
        if begins:
            before[txn] = frozenset(last)
            for other in last:
                graph.add("rt", other, txn, "ended before the next began")
        else:
            last -= before[txn]
            last.add(txn)


def find_cycles(graph, real_time, report):
    """Each component's strongest anomaly."""
    more, suffix = (["rt"], "-realtime") if real_time else ([], "")
    done = set()

    def search(kind, all_kinds, first, rest):
        for part in graph.components(all_kinds):
            if done.isdisjoint(part):
                cycle = graph.cycle(first, rest, part)
                if cycle is not None:
                    done.update(part)
                    report.add(kind + suffix, graph.explain(cycle, ["ww", "wr", "rt", "rw"]))

    search("G0", ["ww"] + more, "ww", ["ww"] + more)
    search("G1c", ["ww", "wr"] + more, "wr", ["ww", "wr"] + more)
    search("G-single", ["ww", "wr", "rw"] + more, "rw", ["ww", "wr"] + more)
    search("G2-item", ["ww", "wr", "rw"] + more, "rw", ["ww", "wr", "rw"] + more)
    return len(done) > 0


def check_lists(txns, report):
    lists = Lists(txns, report)
    lists.check_values()
    lists.check_lost_updates()
    graph = Graph(lists.committed)
    add_dependencies(graph, lists)
    if not find_cycles(graph, False, report):
        add_real_time(graph)
        find_cycles(graph, True, report)


# ---- All of it ----------------------------------------------------------------------------------


def check(events, total=None):
    """A Report of what is wrong, and the transactions."""
    report = Report()
    txns = pair(events, report)
    on_lists = [txn for txn in txns if txn.f == "txn"]
    if on_lists:
        check_lists(on_lists, report)
    check_bank(txns, total, report)
    if all(txn.ended is None for txn in txns):
        report.add("malformed", "no operation has ended: nothing can be said")
    return report, txns


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--total", type=int, help="all the money in the bank")
    args = parser.parse_args()
    status = 0
    for path in args.files:
        try:
            report, txns = check(read_history(path), args.total)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print("%s: can't be read as a history: %s" % (path, error), file=sys.stderr)
            return 2
        types = collections.Counter(txn.type for txn in txns)
        verdict = "valid" if not report.found else ", ".join(report.found)
        print("%s: %d transactions, %d ok, %d fail, %d info: %s" % (path, len(txns), types["ok"], types["fail"], types["info"], verdict))
        for kind, texts in report.found.items():
            status = 1
            for text in texts[:SHOWN]:
                print("  %s:\n    %s" % (kind, text))
            if len(texts) > SHOWN:
                print("  %s: %d more" % (kind, len(texts) - SHOWN))
    return status


if __name__ == "__main__":
    sys.exit(main())
