/* crooked_switch: a small resource manager with XA switches in a shared object, which misbehaves as
 * it is told: in every way that the XA specification allows, and in some that it doesn't.
 *
 * Its branches are lines of a text file, so that they outlive the process, and several processes
 * may work in it at once. A line is never removed: a test reads in it what became of a branch. It
 * minds threads of control: a call from a thread that has not called xa_open with that rmid gets
 * XAER_PROTO.
 *
 * The open string says what it does, items with a comma between them:
 *
 *     file=PATH               where its branches are; must be there
 *     <call>=<code>[+<effect>][:<times>]
 *                             that call returns the code (a name or a number), the first `times`
 *                             times, or always. Calls: open, close, start, end, prepare, commit,
 *                             rollback, forget, recover. Effects:
 *                               +done   the call does its work all the same
 *                               +kept   the branch stays as it was
 *                               +gone   the branch is lost
 *                             else what the specification says of the code: XA_RB*, XA_RDONLY and
 *                             XAER_RMERR of an end mean that it is rolled back (or over), XA_HEUR*
 *                             that it is heuristically completed until xa_forget
 *     commit=hang             makes PATH.hanging, and does not return until somebody removes it; so
 *                             may any call
 *     strangers=N             N branches of other transaction managers are listed before its own
 *     recover=endless         pages of strangers, for ever
 *     recover=repeats         a full page, and the same again
 *     recover=beyond          says that it returned more than it was asked for
 *     recover=garbage         XIDs with impossible lengths among the others
 *     recover=unwritten       counts 10 branches more than it writes
 *     recover=twice           each branch two times
 *
 * Symbols: crooked_switch; crooked_pointer (to it), crooked_function() (returns it);
 * crooked_dynamic (TMREGISTER: each call asks ax_reg, and fails unless told "no global
 * transaction"); and what can't be used: crooked_version, crooked_nameless, crooked_no_recover,
 * crooked_small, crooked_nothing (a NULL pointer), crooked_nothing_function().
 */
#ifndef TESTS_LIB_CROOKED_SWITCH_H
#define TESTS_LIB_CROOKED_SWITCH_H

#include "participant/adapters/xa.h"

extern struct xa_switch_t crooked_switch;
extern struct xa_switch_t *crooked_pointer;
extern struct xa_switch_t crooked_dynamic;
extern struct xa_switch_t crooked_registering;
extern struct xa_switch_t crooked_version;
extern struct xa_switch_t crooked_nameless;
extern struct xa_switch_t crooked_no_recover;
extern char crooked_small[120];
extern struct xa_switch_t *crooked_nothing;
int crooked_work(int rmid);
struct xa_switch_t *crooked_function(void);
struct xa_switch_t *crooked_nothing_function(void);

#endif
