/* coverage_points: the branches of the protocol that the simulation should reach. */
#ifndef TESTS_SIM_COVERAGE_POINTS_H
#define TESTS_SIM_COVERAGE_POINTS_H

/* X(name, group, text). The group "must not" is of what only a bug or a heuristic reaches. */
#define COVERAGE_POINTS(X)                                                                         \
    X(COMMITTED_ALL_PREPARED, "committed", "all voted prepared")                                   \
    X(COMMITTED_SOME_READ_ONLY, "committed", "with a read-only vote")                              \
    X(COMMITTED_ALL_READ_ONLY, "committed", "all voted read-only")                                 \
    X(COMMITTED_ONE_PHASE, "committed", "in one phase")                                            \
    X(COMMITTED_NOBODY, "committed", "nobody took part")                                           \
    X(COMMITTED_BY_TAKEOVER, "committed", "by a ballot above 0")                                   \
    X(ABORTED_BY_VOTE, "aborted", "by a vote")                                                     \
    X(ABORTED_BY_CLIENT, "aborted", "by the client, before any prepare")                           \
    X(ABORTED_BY_DEADLINE, "aborted", "by the deadline, before any prepare")                       \
    X(ABORTED_LOST_WORK, "aborted", "for a lost branch, before any prepare")                       \
    X(ABORTED_ONE_PHASE, "aborted", "in one phase")                                                \
    X(ABORTED_BY_TAKEOVER, "aborted", "by a ballot above 0, votes found")                          \
    X(ABORTED_VOID, "aborted", "by a ballot above 0, void")                                        \
    X(TAKEOVER_OWN, "takeover", "by the transaction's own node")                                   \
    X(TAKEOVER_OTHER, "takeover", "by another node")                                               \
    X(TAKEOVER_SECOND, "takeover", "of a takeover, by yet another node")                           \
    X(TAKEOVER_AGAIN, "takeover", "a second ballot of one node")                                   \
    X(TAKEOVER_THREE, "takeover", "three nodes opened ballots")                                    \
    X(TAKEOVER_OVER, "takeover", "answered that it is over")                                       \
    X(DUEL_1A, "takeover", "1a refused")                                                           \
    X(DUEL_2A, "takeover", "2a refused")                                                           \
    X(PROMISE_EMPTY, "takeover", "1b without a set")                                               \
    X(PROMISE_VOTES, "takeover", "1b with votes of ballot 0")                                      \
    X(PROMISE_HIGHER, "takeover", "1b with votes of a ballot above 0")                             \
    X(PROMISE_VOID, "takeover", "1b with a void")                                                  \
    X(PROPOSED_PREPARED, "takeover", "prepared found for all, proposed")                           \
    X(PROPOSED_MIXED, "takeover", "prepared found for some, aborted for others")                   \
    X(PROPOSED_ABORTED, "takeover", "aborted for all of a known set, proposed")                    \
    X(PROPOSED_DELEGATED, "takeover", "delegation found, proposed")                                \
    X(PROPOSED_VOID, "takeover", "void proposed")                                                  \
    X(DOUBT_ENDED, "takeover", "ended somebody's doubt")                                           \
    X(LOOKED_INTO, "takeover", "undecided record looked into: another node asked")                 \
    X(PARTIAL_2B, "votes", "partial 2b: an abort waits for nobody")                                \
    X(BRANCH_GIVEN_UP, "votes", "branch given up before its prepare")                              \
    X(BRANCH_RESTARTED, "votes", "branch lost over a restart, told to a prepare")                  \
    X(VOTE_LATE, "votes", "vote after the outcome")                                                \
    X(ENLIST_REFUSED, "votes", "enlistment refused")                                               \
    X(WORK_REFUSED, "votes", "work refused")                                                       \
    X(PREPARE_AGAIN, "repeats", "prepare")                                                         \
    X(VOTE_AGAIN, "repeats", "vote")                                                               \
    X(ONE_PHASE_AGAIN, "repeats", "one-phase commit")                                              \
    X(PHASE1A_AGAIN, "repeats", "1a")                                                              \
    X(PHASE2A_AGAIN, "repeats", "2a")                                                              \
    X(DECISION_AGAIN, "repeats", "decision")                                                       \
    X(DECISION_OTHER, "repeats", "decision by a second node")                                      \
    X(DECISION_NOT_KNOWN, "phase two", "decision to whom it says nothing")                         \
    X(DECISION_DONE, "phase two", "decision to whom has committed")                                \
    X(KNOWN_TOLD, "phase two", "the nodes are told the outcome")                                   \
    X(RECORD_FINISHED, "the end", "record finished")                                               \
    X(RECORD_DELETED, "the end", "record deleted")                                                 \
    X(MARK_MOVED, "the end", "mark moved")                                                         \
    X(MARK_TOLD_RM, "the end", "mark told to a participant")                                       \
    X(MARK_TOLD_NODE, "the end", "mark told to a node that was away")                              \
    X(FORGOTTEN_RM, "the end", "forgotten, to a participant")                                      \
    X(FORGOTTEN_NODE, "the end", "forgotten, to a node")                                           \
    X(FORGOTTEN_CLIENT, "the end", "forgotten, to a client")                                       \
    X(FOUND_ASKED, "without a log", "found prepared, and asked for")                               \
    X(FOUND_ABORTED, "without a log", "found prepared, and proposed to abort")                     \
    X(LATE_PREPARED, "without a log", "prepared late, after its vote or its session")              \
    X(LATE_UNDONE, "without a log", "prepared late, and rolled back")                              \
    X(LATE_COMMITTED, "without a log", "prepared late, and committed: a restart voted for it")     \
    X(BY_HAND, "without a log", "prepared late, forgotten, ended by hand and reported")            \
    X(ANSWER_LOST, "without a log", "ended, the database's answer lost, ended again")              \
    X(WORK_DONE, "with commit", "work done with its prepare, in a new branch")                     \
    X(WORK_ACTIVE, "with commit", "work done with its prepare, where there was work before")       \
    X(WORK_COMMITTED, "with commit", "committed with the work of its Commit")                      \
    X(WORK_FAILED, "with commit", "aborted, as the work failed")                                   \
    X(WORK_LOST, "with commit", "refused, as a restart lost the branch")                           \
    X(WORK_AGAIN, "with commit", "asked again of who had done it")                                 \
    X(WORK_TOMBSTONE, "with commit", "overtaken by its abort, and met its tombstone")              \
    X(WORK_ABORT_ASKED, "with commit", "its client goes on with Abort")                            \
    X(WORK_OTHER_NODE, "with commit", "refused by a node that does not coordinate")                \
    X(CLIENT_OTHER_NODE, "clients", "asks a second node")                                          \
    X(CLIENT_AGAIN, "clients", "commit asked twice")                                               \
    X(CLIENT_UNKNOWN, "clients", "not told an outcome")                                            \
    X(CLIENT_ABORT_LOST, "clients", "abort asked, told committed")                                 \
    X(CLIENT_COMMIT_LOST, "clients", "commit asked, told aborted")                                 \
    X(CLIENT_PASSED_ON, "clients", "question passed on to another node")                           \
    X(CRASH_ACTIVE, "crash of", "a node, transaction not to be committed yet")                     \
    X(CRASH_LEADING_0, "crash of", "a node that led ballot 0")                                     \
    X(CRASH_LEADING, "crash of", "a node that led a ballot above 0")                               \
    X(CRASH_PROMISED, "crash of", "a node that had promised")                                      \
    X(CRASH_VOTES, "crash of", "a node with votes, outcome not known to it")                       \
    X(CRASH_DECIDED, "crash of", "a node that knew, not all had acknowledged")                     \
    X(CRASH_WORKING, "crash of", "a participant at work")                                          \
    X(CRASH_ASKED, "crash of", "a participant asked to prepare")                                   \
    X(CRASH_PREPARED, "crash of", "a participant in doubt")                                        \
    X(CRASH_COMMITTING, "crash of", "a participant that was committing")                           \
    X(CRASH_CLIENT, "crash of", "a client that waited")                                            \
    X(AMNESIA, "disks", "older or empty disk refused")                                             \
    COVERAGE_MESSAGES(X, LOST, "lost")                                                             \
    COVERAGE_MESSAGES(X, DOUBLED, "doubled")                                                       \
    COVERAGE_MESSAGES(X, OVERTAKEN, "overtaken")                                                   \
    X(HAZARD, "must not", "heuristic hazard")                                                      \
    X(FORGOTTEN_IN_DOUBT, "must not", "forgotten, to a participant in doubt")

/* Overtaken: received after one that was sent later, by the same sender to the same receiver. */
#define COVERAGE_MESSAGES(X, NAME, group)                                                          \
    X(NAME##_CLIENTS, group, "between client and others")                                          \
    X(NAME##_ENLIST, group, "enlistment")                                                          \
    X(NAME##_PREPARE, group, "prepare")                                                            \
    X(NAME##_VOTE, group, "vote")                                                                  \
    X(NAME##_ONE_PHASE, group, "one-phase commit or its result")                                   \
    X(NAME##_PHASE1, group, "1a, 1b, refused")                                                     \
    X(NAME##_PHASE2, group, "2a, 2b")                                                              \
    X(NAME##_DECISION, group, "decision")                                                          \
    X(NAME##_ACK, group, "acknowledgement")                                                        \
    X(NAME##_KNOWN, group, "outcome or question between nodes")

enum coverage_point {
#define COVERAGE_ENUM(name, group, text) COVER_##name,
    COVERAGE_POINTS(COVERAGE_ENUM)
#undef COVERAGE_ENUM
        COVER_POINTS
};

#endif
