#!/usr/bin/env python3
"""check_history.py finds each anomaly that is planted, under its name, and nothing in what is right.

A planted history is a list of operations: ok(...), fail(...), info(...) of steps that are written
short: "a1=5" appends 5 to list 1, "r1=5,6" reads it so, "r1=" finds it empty.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_history  # noqa: E402


def steps(text):
    out = []
    for f, key, values in re.findall(r"([ar])(\d+)=([\d,]*)", text):
        numbers = [int(value) for value in values.split(",") if value]
        out.append(["append", int(key), numbers[0]] if f == "a" else ["r", int(key), numbers])
    return out


def unread(value):
    return [[f, key, None if f == "r" else v] for f, key, v in value]


def event(kind, process, value, f="txn"):
    return {"type": kind, "f": f, "process": process, "value": value}


def ok(text):
    return "ok", steps(text)


def fail(text):
    return "fail", unread(steps(text))


def info(text):
    return "info", unread(steps(text))


def numbered(events):
    return [dict(e, index=i, time=1000 * i) for i, e in enumerate(events)]


def together(*ops):
    """All begin before any ends, so that real time says nothing."""
    events = [event("invoke", p, unread(value)) for p, (_, value) in enumerate(ops)]
    return events + [event(kind, p, value) for p, (kind, value) in enumerate(ops)]


def one_by_one(*ops, first_process=0):
    events = []
    for n, (kind, value) in enumerate(ops):
        events.append(event("invoke", first_process + n, unread(value)))
        events.append(event(kind, first_process + n, value))
    return events


def found(events, total=None):
    return list(check_history.check(numbered(events), total)[0].found)


class Lists(unittest.TestCase):
    def finds(self, kind, events):
        self.assertIn(kind, found(events))

    def test_a_serial_history_is_valid(self):
        events = one_by_one(ok("r1= a1=1"), ok("a1=2 a2=1"), fail("a1=3"), ok("r1=1,2 a1=4 r1=1,2,4"), ok("r1=1,2,4 r2=1"))
        self.assertEqual(found(events), [])

    def test_concurrent_transactions_may_take_any_order(self):
        events = together(ok("a1=1 r2=1"), ok("a2=1"), ok("r1= r2=1"))
        self.assertEqual(found(events), [])

    def test_an_unknown_append_may_be_there_or_not(self):
        for seen in ("r1=1,2", "r1=1"):
            self.assertEqual(found(one_by_one(ok("a1=1"), info("a1=2"), ok(seen))), [])

    def test_an_unknown_append_may_show_late(self):
        events = one_by_one(ok("a1=1"), info("a1=2"), ok("r1=1"), ok("a1=3"), ok("r1=1,3"), ok("r1=1,3,2"))
        self.assertEqual(found(events), [])

    def test_G0_two_transactions_write_in_opposite_orders(self):
        self.finds("G0", together(ok("a1=1 a2=1"), ok("a1=2 a2=2"), ok("r1=1,2 r2=2,1")))

    def test_G1a_a_read_of_what_failed(self):
        self.finds("G1a", one_by_one(fail("a1=1"), ok("r1=1")))

    def test_G1b_a_read_in_the_middle_of_another(self):
        self.finds("G1b", together(ok("a1=1 a1=2"), ok("r1=1"), ok("r1=1,2")))

    def test_G1c_two_that_see_each_other(self):
        self.assertEqual(found(together(ok("a1=1 r2=1"), ok("a2=1 r1=1"))), ["G1c"])

    def test_G_single_a_read_skew(self):
        self.assertEqual(found(together(ok("a1=1 a2=1"), ok("r1=1 r2="), ok("r2=1"))), ["G-single"])

    def test_G2_item_a_write_skew(self):
        events = together(ok("r1= a2=1"), ok("r2= a1=1"), ok("r1=1 r2=1"))
        self.assertEqual(found(events), ["G2-item"])

    def test_G2_item_a_write_skew_whose_writes_nobody_reads(self):
        self.assertEqual(found(together(ok("r1= a2=1"), ok("r2= a1=1"))), ["G2-item"])

    def test_lost_update_two_that_build_on_one_version(self):
        events = together(ok("r1=1 a1=2"), ok("r1=1 a1=3"), ok("a1=1"), ok("r1=1,2"))
        self.finds("lost-update", events)
        self.finds("G-single", events)

    def test_an_append_that_was_told_committed_and_is_not_there(self):
        self.assertEqual(found(one_by_one(ok("a1=1"), ok("a1=2"), ok("r1=1"))), ["G-single-realtime"])

    def test_a_list_that_was_told_committed_and_is_not_there_at_all(self):
        self.assertEqual(found(one_by_one(ok("a1=1"), ok("r1="))), ["G-single-realtime"])

    def test_half_of_a_transaction_that_was_told_committed(self):
        self.assertIn("G-single", found(one_by_one(ok("a1=1 a2=1"), ok("r1=1 r2="))))

    def test_half_of_a_transaction_whose_outcome_was_not_told(self):
        self.assertIn("G-single", found(one_by_one(info("a1=1 a2=1"), ok("r1=1 r2="))))

    def test_a_stale_read_breaks_real_time_alone(self):
        events = one_by_one(ok("a1=1"), ok("r1=1"), ok("r1="), ok("r1=1"))
        self.assertEqual(found(events), ["G-single-realtime"])

    def test_writes_against_real_time(self):
        self.assertEqual(found(one_by_one(ok("a1=1"), ok("a1=2"), ok("r1=2,1"))), ["G0-realtime"])

    def test_a_read_from_the_future(self):
        events = [event("invoke", 0, unread(steps("r1=1"))), event("ok", 0, steps("r1=1"))]
        self.assertEqual(found(events + one_by_one(ok("a1=1"), first_process=1)), ["G1c-realtime"])

    def test_several_stale_reads_need_several_rw(self):
        events = together(ok("r1= r2=1"), ok("r2= r1=1"), ok("a1=1"), ok("a2=1"))
        self.assertEqual(found(events), ["G2-item"])

    def test_incompatible_orders(self):
        self.finds("incompatible-order", together(ok("a1=1"), ok("a1=2"), ok("r1=1,2"), ok("r1=2,1")))

    def test_duplicate_elements(self):
        self.finds("duplicate-elements", together(ok("a1=1"), ok("a1=2"), ok("r1=1,2,1")))

    def test_phantom(self):
        self.finds("phantom", one_by_one(ok("r1=7")))

    def test_internal_a_transaction_that_misses_its_own_append(self):
        self.finds("internal", one_by_one(ok("a1=1 r1=")))

    def test_internal_a_read_that_cannot_be_repeated(self):
        self.finds("internal", together(ok("r1= r1=1"), ok("a1=1")))


class Bank(unittest.TestCase):
    def test_transfers_keep_the_total(self):
        self.assertEqual(found(self.bank([{0: 10, 1: 10}, {0: 7, 1: 13}]), 20), [])

    def test_money_made_or_lost(self):
        self.assertEqual(found(self.bank([{0: 10, 1: 10}, {0: 7, 1: 10}])), ["wrong-total"])
        self.assertEqual(found(self.bank([{0: 10, 1: 10}]), 21), ["wrong-total"])

    def test_a_balance_below_nothing(self):
        self.assertEqual(found(self.bank([{0: 25, 1: -5}])), ["negative-balance"])

    def test_money_that_moved_to_the_wrong_account(self):
        reads = [{0: 10, 1: 10, 2: 10}, {0: 7, 1: 10, 2: 13}]
        self.assertEqual(found(self.bank(reads)), ["wrong-balance"])

    def test_a_transfer_that_was_told_committed_counts_and_one_that_failed_does_not(self):
        told = {kind: self.bank([{0: 10, 1: 10}], kind) for kind in ("ok", "info", "fail")}
        self.assertEqual({kind: found(events) for kind, events in told.items()}, {"ok": ["wrong-balance"], "info": [], "fail": []})
        told = {kind: self.bank([{0: 7, 1: 13}], kind) for kind in ("ok", "info", "fail")}
        self.assertEqual({kind: found(events) for kind, events in told.items()}, {"ok": [], "info": [], "fail": ["wrong-balance"]})

    def test_a_transfer_beside_a_read_may_count_and_one_after_it_does_not(self):
        transfer = {"from": 0, "to": 1, "amount": 3}
        for balances, beside in (({"0": 7, "1": 13}, []), ({"0": 10, "1": 10}, []), ({"0": 4, "1": 16}, ["wrong-balance"])):
            read = [event("invoke", 1, None, "read"), event("ok", 1, balances, "read")]
            move = [event("invoke", 0, transfer, "transfer"), event("ok", 0, transfer, "transfer")]
            self.assertEqual(found([read[0], *move, read[1]], 20), beside)
            self.assertEqual(found([move[0], *read, move[1]], 20), beside)
            self.assertEqual(found([*read, *move], 20), [] if balances["0"] == 10 else ["wrong-balance"])

    def test_an_account_that_is_missing(self):
        self.assertEqual(found(self.bank([{0: 10, 1: 10}, {0: 20}])), ["wrong-accounts"])

    @staticmethod
    def bank(reads, end="info"):
        transfer = {"from": 0, "to": 1, "amount": 3}
        events = [event("invoke", 0, transfer, "transfer"), event(end, 0, transfer, "transfer")]
        for n, balances in enumerate(reads):
            events.append(event("invoke", n + 1, None, "read"))
            events.append(event("ok", n + 1, balances, "read"))
        return events


class Form(unittest.TestCase):
    def test_a_process_does_one_thing_at_a_time(self):
        events = [event("invoke", 0, steps("a1=1")), event("invoke", 0, steps("a1=2"))]
        self.assertEqual(found(events), ["malformed"])

    def test_a_process_that_crashed_does_not_come_back(self):
        events = one_by_one(info("a1=1")) + one_by_one(ok("a1=2"))
        self.assertEqual(found(events), ["malformed"])

    def test_an_end_is_of_what_was_invoked(self):
        events = [event("invoke", 0, steps("a1=1")), event("ok", 0, steps("a1=2"))]
        self.assertIn("malformed", found(events))

    def test_time_does_not_fall(self):
        events = numbered(one_by_one(ok("a1=1")))
        events[1]["time"] = -1
        self.assertEqual(list(check_history.check(events)[0].found), ["malformed"])

    def test_a_value_is_appended_once(self):
        self.assertIn("malformed", found(one_by_one(ok("a1=1"), ok("a1=1"))))


EDN = """\
{:index 0, :type :invoke, :f :txn, :process 0, :time 5, :value [[:append 3 1] [:r 4 nil]]}
{:index 1, :type :ok, :f :txn, :process 0, :time 9, :value [[:append 3 1] [:r 4 [1 2]]], :txid "0a"}
"""


class Files(unittest.TestCase):
    def run_on(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            result = subprocess.run([sys.executable, check_history.__file__, path], capture_output=True, text=True)
            return result.returncode, result.stdout + result.stderr

    def test_EDN_and_JSON_lines_are_read_the_same(self):
        expected = [
            {"index": 0, "type": "invoke", "f": "txn", "process": 0, "time": 5, "value": [["append", 3, 1], ["r", 4, None]]},
            {"index": 1, "type": "ok", "f": "txn", "process": 0, "time": 9, "value": [["append", 3, 1], ["r", 4, [1, 2]]], "txid": "0a"},
        ]
        for name, text in (("a.edn", EDN), ("a.jsonl", "".join(json.dumps(e) + "\n" for e in expected))):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                self.assertEqual(check_history.read_history(path), expected)

    def test_a_cut_last_line_is_left_out(self):
        whole = EDN.replace("[1 2]", "[]")
        status, said = self.run_on("a.edn", whole + '{:index 2, :type :ok, :val')
        self.assertEqual((status, "valid" in said), (0, True), said)

    def test_a_history_in_which_nothing_ended_is_malformed(self):
        for text in ("", EDN.splitlines()[0] + "\n"):
            status, said = self.run_on("a.edn", text)
            self.assertEqual((status, "malformed" in said), (1, True), said)

    def test_what_is_wrong_is_named_with_the_transaction_and_exit_status_1(self):
        status, said = self.run_on("a.edn", EDN)
        self.assertEqual(status, 1, said)
        self.assertIn("phantom", said)
        self.assertIn("process 0", said)

    def test_what_is_no_history_is_exit_status_2(self):
        for name in ("a.edn", "a.jsonl"):
            status, said = self.run_on(name, "hello\nthere\n")
            self.assertEqual(status, 2, said)


if __name__ == "__main__":
    unittest.main()
