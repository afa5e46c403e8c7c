/* xa: the interface between a transaction manager and a resource manager, in C.
 *
 * Written from X/Open CAE Specification C193, "Distributed Transaction Processing: The XA
 * Specification" (1991), chapters 4 and 5 and appendix A; names and values are the standard's, and
 * so they follow its style and not ours. A `long` is that of the platform: on 64-bit Linux 8 bytes.
 *
 * Troth is the transaction manager. Nothing else is in here: what Troth makes of it is xa_driver.h.
 */
#ifndef ADAPTERS_XA_H
#define ADAPTERS_XA_H

/* ---- Transaction branch identification (4.2) ------------------------------------------------- */

#define MAXGTRIDSIZE 64 /* of a global transaction id */
#define MAXBQUALSIZE 64 /* of a branch qualifier */

/* X/Open's tx.h has it, too: whichever is included first. */
#ifndef XIDDATASIZE
#define XIDDATASIZE 128 /* bytes */
struct xid_t {
    long formatID;     /* -1: the null XID */
    long gtrid_length; /* 1-64 */
    long bqual_length; /* 1-64 */
    char data[XIDDATASIZE];
};
typedef struct xid_t XID;
#endif

/* ---- Resource manager switch (4.3) ----------------------------------------------------------- */

#define RMNAMESZ    32  /* with the NUL */
#define MAXINFOSIZE 256 /* of an open or close string, with the NUL */

struct xa_switch_t {
    char name[RMNAMESZ];
    long flags;
    long version; /* must be 0 */
    int (*xa_open_entry)(char *xa_info, int rmid, long flags);
    int (*xa_close_entry)(char *xa_info, int rmid, long flags);
    int (*xa_start_entry)(XID *xid, int rmid, long flags);
    int (*xa_end_entry)(XID *xid, int rmid, long flags);
    int (*xa_rollback_entry)(XID *xid, int rmid, long flags);
    int (*xa_prepare_entry)(XID *xid, int rmid, long flags);
    int (*xa_commit_entry)(XID *xid, int rmid, long flags);
    int (*xa_recover_entry)(XID *xids, long count, int rmid, long flags);
    int (*xa_forget_entry)(XID *xid, int rmid, long flags);
    int (*xa_complete_entry)(int *handle, int *retval, int rmid, long flags);
};

/* ---- Flags (4.4) ----------------------------------------------------------------------------- */

#define TMNOFLAGS 0x00000000L

/* Of a switch. */
#define TMREGISTER  0x00000001L /* registers dynamically, by ax_reg */
#define TMNOMIGRATE 0x00000002L /* an association stays with its thread of control */
#define TMUSEASYNC  0x00000004L

/* Of calls. */
#define TMASYNC      0x80000000L
#define TMONEPHASE   0x40000000L
#define TMFAIL       0x20000000L
#define TMNOWAIT     0x10000000L
#define TMRESUME     0x08000000L
#define TMSUCCESS    0x04000000L
#define TMSUSPEND    0x02000000L
#define TMSTARTRSCAN 0x01000000L
#define TMENDRSCAN   0x00800000L
#define TMMULTIPLE   0x00400000L
#define TMJOIN       0x00200000L
#define TMMIGRATE    0x00100000L

/* ---- What ax_ functions return (4.5) --------------------------------------------------------- */

#define TM_JOIN    2
#define TM_RESUME  1
#define TM_OK      0
#define TMER_TMERR -1
#define TMER_INVAL -2
#define TMER_PROTO -3

/* ---- What xa_ functions return (4.5) --------------------------------------------------------- */

#define XA_RBBASE      100
#define XA_RBROLLBACK  XA_RBBASE
#define XA_RBCOMMFAIL  (XA_RBBASE + 1)
#define XA_RBDEADLOCK  (XA_RBBASE + 2)
#define XA_RBINTEGRITY (XA_RBBASE + 3)
#define XA_RBOTHER     (XA_RBBASE + 4)
#define XA_RBPROTO     (XA_RBBASE + 5)
#define XA_RBTIMEOUT   (XA_RBBASE + 6)
#define XA_RBTRANSIENT (XA_RBBASE + 7)
#define XA_RBEND       XA_RBTRANSIENT

#define XA_NOMIGRATE   9
#define XA_HEURHAZ     8
#define XA_HEURCOM     7
#define XA_HEURRB      6
#define XA_HEURMIX     5
#define XA_RETRY       4
#define XA_RDONLY      3
#define XA_OK          0
#define XAER_ASYNC     -2
#define XAER_RMERR     -3
#define XAER_NOTA      -4
#define XAER_INVAL     -5
#define XAER_PROTO     -6
#define XAER_RMFAIL    -7
#define XAER_DUPID     -8
#define XAER_OUTSIDE   -9

/* ---- What a resource manager may call (3.3, 5) ----------------------------------------------- */

extern int ax_reg(int rmid, XID *xid, long flags);
extern int ax_unreg(int rmid, long flags);

#endif
