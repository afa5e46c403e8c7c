/* The table of commands, and their help. */
#include "cli/cli.h"

const struct cli_command cli_commands[] = {
    {"", "status", "", "the cluster: nodes, participants, what is in doubt",
     "Asks every node and puts the answers together: a row for each node, with what it says of\n"
     "itself and what the others think of it. PHI is the level of suspicion (the highest that\n"
     "another node has), LAG the bytes that wait to be sent to it.\n"
     "\n"
     "  troth status --nodes 127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103\n",
     "", 0, 0, cli_status},
    {"tx", "list", "", "the transactions that the nodes know",
     "The oldest first, at most 1,000 without --limit. A node tells no more than the 1,000 that\n"
     "it has heard of first; --in-doubt and --outcome choose before that.\n"
     "\n"
     "With --heuristic: branches that a database, or a person, ended without or against Troth's\n"
     "word. DID is what the branch did (hazard: it is gone, and nobody knows), OUTCOME the\n"
     "transaction's. Each stays until `troth tx forget`.\n"
     "\n"
     "  troth tx list --in-doubt\n"
     "  troth tx list --heuristic\n"
     "  troth tx list --outcome aborted --limit 20\n",
     "in-doubt heuristic outcome limit", 0, 0, cli_tx_list},
    {"tx", "show", "TXID|GID", "one transaction: its branches and votes, as each node holds them",
     "A global id is what a database shows of a prepared transaction; in quotes of the shell:\n"
     "\n"
     "  troth tx show 00000001000000010000000000000007\n"
     "  troth tx show troth:main:00000001000000010000000000000007:orders\n"
     "  troth tx show \"'00000001000000010000000000000007:main','orders',1416785780\"\n",
     "", 1, 1, cli_tx_show},
    {"tx", "resolve", "TXID|GID", "end a branch that is in doubt by hand, at its database",
     "For the case that Troth can't end it, or not in time. Shows what Troth knows first, and "
     "asks\n"
     "twice; against a known outcome it needs --force. All nodes keep what was done, and who did\n"
     "it, for `troth tx list --heuristic`. Exit status 1: it was not done.\n"
     "\n"
     "  troth tx resolve 00000001000000010000000000000007 --abort --agent 127.0.0.1:7301\n",
     "commit abort agent who force yes-i-know", 1, 1, cli_tx_resolve},
    {"tx", "forget", "TXID|GID [PARTICIPANT]",
     "what a branch did by itself has been dealt with: take it off the list",
     "At all nodes; in their databases it stays, with who forgot it. Exit status 1: there is\n"
     "nothing to forget; 3: not all nodes could be reached: repeat it when they are back.\n"
     "\n"
     "  troth tx forget 00000001000000010000000000000007 orders\n",
     "who yes", 1, 2, cli_tx_forget},
    {"", "agent", "HOST:PORT",
     "a database's agent: its branches, what they wait for, what ends them",
     "The branches that are not over, the oldest first. OUTCOME is what Troth knows of the\n"
     "transaction: an agent ends a branch as soon as it has heard of it, and reaches the "
     "database.\n"
     "\n"
     "  troth agent 127.0.0.1:7301\n",
     "limit", 1, 1, cli_agent},
    {"tx", "begin", "", "begin a transaction and print its txid",
     "The transaction aborts by itself after --open-ms. For shell scripts:\n"
     "\n"
     "  txid=$(troth tx begin --open-ms 60000)\n"
     "  troth kv put --tx \"$txid\" greeting hello\n"
     "  troth tx commit \"$txid\"\n",
     "open-ms", 0, 0, cli_tx_begin},
    {"tx", "commit", "TXID", "commit a transaction and print its outcome",
     "May be repeated, and asked of any node: there is one outcome. Exit status 0: committed,\n"
     "1: aborted, 3: not known now.\n"
     "\n"
     "  troth tx commit 00000001000000010000000000000007\n",
     "", 1, 1, cli_tx_commit},
    {"tx", "abort", "TXID", "propose to abort a transaction and print its outcome",
     "Exit status 0: aborted, 1: it was committed before, 3: not known now.\n"
     "\n"
     "  troth tx abort 00000001000000010000000000000007\n",
     "", 1, 1, cli_tx_abort},
    {"tx", "get", "TXID", "print a transaction's outcome as far as it is known",
     "Exit status 0: committed, 1: aborted or never begun, 3: not decided yet.\n"
     "\n"
     "  troth tx get 00000001000000010000000000000007\n",
     "", 1, 1, cli_tx_get},
    {"kv", "get", "KEY", "print a key's value",
     "  troth kv get alice --shards a=127.0.0.1:7201,b=127.0.0.1:7202\n", "tx", 1, 1, cli_kv_get},
    {"kv", "put", "KEY VALUE", "set a key's value", "  troth kv put alice 100\n", "tx", 2, 2,
     cli_kv_put},
    {"kv", "delete", "KEY", "remove a key", "  troth kv delete alice\n", "tx", 1, 1, cli_kv_delete},
    {"kv", "add", "KEY NUMBER", "add to a number and print the sum",
     "An absent key counts as 0. With --minimum a sum below it is refused.\n"
     "\n"
     "  troth kv add alice -10 --minimum 0\n",
     "minimum tx", 2, 2, cli_kv_add},
    {"kv", "cas", "KEY VALUE", "compare and set: set a value if it still is the expected one",
     "One of --expect and --absent must be given.\n"
     "\n"
     "  troth kv cas leader node-2 --expect node-1\n"
     "  troth kv cas leader node-1 --absent\n",
     "expect absent tx", 2, 2, cli_kv_cas},
    {"kv", "scan", "", "print keys and values of all shards, in order",
     "  troth kv scan --from account- --to account. --limit 100\n", "from to limit tx", 0, 0,
     cli_kv_scan},
    {"kv", "txn", "[OPERATION...]", "run several operations as one transaction",
     "Operations, from the arguments or, without any, from standard input (one a line, # begins a\n"
     "comment, \"double quotes\" hold blanks together):\n"
     "\n"
     "  get KEY | put KEY VALUE | add KEY NUMBER | delete KEY | cas KEY EXPECTED VALUE\n"
     "\n"
     "All take effect, or none. A transaction that lost a lock to another one is run again. With\n"
     "--minimum no add may bring its key below that number.\n"
     "\n"
     "  troth kv txn --minimum 0 add alice -10 add bob 10\n",
     "minimum open-ms", 0, -1, cli_kv_txn},
    {"", "bench", "WORKLOAD", "clients at work, counted and timed; the history of what they saw",
     "Workloads, both over all shards:\n"
     "\n"
     "  append   a transaction reads and appends to a few lists\n"
     "  bank     money moves between two accounts, or all balances are read\n"
     "\n"
     "The latency is that from begin to the outcome, of what committed. Its keys begin with\n"
     "`bench-`, and are deleted in the end. With --history, all lists or balances are read once\n"
     "more before that, so that a checker sees what became of them. docs/histories.md tells how\n"
     "to hand a history to a checker. Ctrl-C ends it early and in order.\n"
     "\n"
     "  troth bench bank --clients 16 --seconds 30\n"
     "  troth bench bank --clients 16 --seconds 30 --one-call\n"
     "  troth bench append --transactions 10000 --history run.edn\n",
     "clients seconds transactions keys max-txn-length read-share one-call seed history "
     "history-format keep",
     1, 1, cli_bench},
    {.name = 0},
};
