"""troth_test.py: what users' tests call."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import troth_test


class ClusterTest(unittest.TestCase):
    def test_a_node_dies_at_its_point_returns_and_is_recovered(self):
        with troth_test.Cluster(nodes=3, shards=1) as cluster:
            cluster.arm("node-1", "after.send.heartbeat:5")
            cluster.wait_crashed("node-1")
            self.assertTrue(cluster.crashed("node-1"))
            self.assertFalse(cluster.crashed("node-2"))
            cluster.restart("node-1")
            self.assertFalse(cluster.crashed("node-1"))
            cluster.wait_recovered()

    def test_a_point_of_the_start_is_reached_while_it_is_armed(self):
        with troth_test.Cluster(nodes=1, shards=1) as cluster:
            cluster.arm("shard-1", "after.store.start")
            self.assertTrue(cluster.crashed("shard-1"))
            cluster.restart("shard-1")
            cluster.wait_recovered()

    def test_others_may_reach_their_points_while_one_is_armed(self):
        with troth_test.Cluster(nodes=3) as cluster:
            cluster.arm("node-1", "after.send.heartbeat")
            cluster.arm("node-2", "before.send.prepare")
            cluster.wait_crashed("node-1")
            cluster.restart("node-1")
            cluster.wait_recovered()

    def test_what_dies_without_a_point_is_told_of_by_the_next_call(self):
        with troth_test.Cluster(nodes=3) as cluster:
            own_start = troth_test._Member.start

            def start_and_kill_another(member, point):
                cluster._members["node-3"].process.kill()
                own_start(member, point)

            with unittest.mock.patch.object(troth_test._Member, "start", start_and_kill_another):
                with self.assertRaisesRegex(troth_test.Error, "node-3 has ended with -9"):
                    cluster.restart("node-1")

    def test_one_that_is_stopped_before_it_waits_for_signals_has_stopped(self):
        with troth_test.Cluster(nodes=1) as cluster:
            node = cluster._members["node-1"]
            cluster._stop_one(node)
            node.process = subprocess.Popen(["sleep", "60"])  # SIGTERM ends it, as it ends an exec
            cluster.stop()
            self.assertEqual(node.process.returncode, -signal.SIGTERM)

    def test_a_test_that_forgets_to_stop_leaves_nothing(self):
        script = "import troth_test; print(troth_test.Cluster(nodes=1).data)"
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                             check=True)
        self.assertFalse(os.path.exists(run.stdout.strip()))

    def test_a_dead_client_s_transaction_ends_by_its_deadline(self):
        with troth_test.Cluster(nodes=1, shards=1) as cluster:
            cluster.troth("tx", "begin")
            cluster.wait_recovered()

    def test_an_outcome_survives_its_coordinator(self):
        with troth_test.Cluster(nodes=1, shards=2) as cluster:
            cluster.arm("node-1", "after.reply.committed")
            cluster.troth("kv", "txn", "put", "a", "1", "put", "b", "2", check=False)
            cluster.wait_crashed("node-1")
            cluster.restart("node-1")
            cluster.wait_recovered()
            self.assertEqual(cluster.troth("kv", "get", "a").strip(), "1")
            self.assertEqual(cluster.troth("kv", "get", "b").strip(), "2")

    def test_what_can_not_be_armed_is_refused_and_nothing_is_restarted(self):
        with troth_test.Cluster(nodes=1, shards=1) as cluster:
            for member, point, words in [
                    ("node-2", "before.send.prepare", "there is no member"),
                    ("node-1", "before.send.prepar", "before.send.prepar; do you mean before.send.prepare[?]"),
                    ("node-1", "before.send.vote", "libtroth-participant"),
                    ("shard-1", "before.send.prepare", "is a crash point of trothd"),
                    ("shard-1", "before.ask.commit", "armed in its environment")]:
                with self.assertRaisesRegex(troth_test.Error, words):
                    cluster.arm(member, point)
            self.assertFalse(cluster.crashed("node-1"))
            with self.assertRaisesRegex(troth_test.Error, "NAME:COUNT"):
                cluster.arm("node-1", "before.send.prepare:0")

    def test_a_point_that_is_not_reached_is_told(self):
        with troth_test.Cluster(nodes=1) as cluster:
            cluster.arm("node-1", "before.send.prepare")
            with self.assertRaisesRegex(troth_test.Error, "has not reached"):
                cluster.wait_crashed("node-1", timeout_s=0.05)

    def test_a_killed_member_is_told_of_and_can_not_be_killed_again(self):
        with troth_test.Cluster(nodes=3) as cluster:
            cluster.kill("node-2")
            self.assertTrue(cluster.crashed("node-2"))
            with self.assertRaisesRegex(troth_test.Error, "does not run"):
                cluster.kill("node-2")
            cluster.wait_recovered()

    def test_programs_without_crash_points_are_told_of(self):
        real = os.environ["TROTH_BIN_DIR"]
        with tempfile.TemporaryDirectory() as folder:
            for name, place in [("trothd", "coordinator"), ("troth-shard", "participant/shard"),
                                ("troth", "cli")]:
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as script:
                    script.write("#!/bin/sh\n[ \"$1\" != --list-crash-points ] || exit 1\n"
                                 f"exec {real}/{place}/{name} \"$@\"\n")
                os.chmod(path, 0o755)
            with troth_test.Cluster(nodes=1, bin_dir=folder) as cluster:
                with self.assertRaisesRegex(troth_test.Error, "has no crash points"):
                    cluster.arm("node-1", "before.send.prepare")

    def test_a_cluster_leaves_no_process_and_no_file(self):
        with troth_test.Cluster(nodes=1, shards=1) as cluster:
            data = cluster.data
            processes = [member.process for member in cluster._members.values()]
            self.assertTrue(os.path.isdir(data))
        self.assertFalse(os.path.exists(data))
        self.assertTrue(all(process.poll() is not None for process in processes))

    def test_what_a_test_says_of_its_nodes_goes_before_what_the_helper_says(self):
        for args in (["--timeout-default-ms", "700"], ["--repeat-ms=200"]):
            with troth_test.Cluster(nodes=1, node_args=args) as cluster:
                cluster.wait_recovered()

    def test_a_size_that_makes_no_cluster_is_refused_and_nothing_is_started(self):
        for nodes, shards, word in [(0, 1, "0 nodes"), (2, 0, "2 nodes"), (33, 0, "33 nodes"),
                                    (1, -1, "-1 shards"), (1, 65, "65 shards")]:
            with self.assertRaisesRegex(troth_test.Error, word):
                troth_test.Cluster(nodes=nodes, shards=shards, bin_dir="/no/such/folder")

    def test_a_cluster_that_can_not_start_says_why(self):
        with self.assertRaisesRegex(troth_test.Error, "/no/such/folder"):
            troth_test.Cluster(nodes=1, bin_dir="/no/such/folder")
        with self.assertRaisesRegex(troth_test.Error, "no-such-flag"):
            troth_test.Cluster(nodes=1, node_args=["--no-such-flag"])


if __name__ == "__main__":
    unittest.main()
