/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Capabilities (capabilities(7)) as one number: bit n is capability n. They belong to threads; these functions are
 * about the calling one.
 */
#ifndef CAISSON_POLICY_JAIL_CAPS_H
#define CAISSON_POLICY_JAIL_CAPS_H

#include <linux/capability.h>
#include <stdint.h>

#define JAIL_CAP(n) (UINT64_C(1) << (n))

/*
 * What serving a folder with all owners takes: reading and writing what belongs to others, finding objects by handles,
 * giving them owners and modes, keeping set-id bits or not, being the guest's user for one call, and file capabilities,
 * which programs in images have. Not among them: trusted attributes, devices, quotas, immutable files.
 */
#define JAIL_SHARE_CAPS                                                                                                \
    (JAIL_CAP(CAP_CHOWN) | JAIL_CAP(CAP_DAC_OVERRIDE) | JAIL_CAP(CAP_DAC_READ_SEARCH) | JAIL_CAP(CAP_FOWNER) |         \
     JAIL_CAP(CAP_FSETID) | JAIL_CAP(CAP_SETGID) | JAIL_CAP(CAP_SETUID) | JAIL_CAP(CAP_SETFCAP))

/* What it takes to look whether objects of an export can be found by handles. */
#define JAIL_EXPORT_CAPS JAIL_CAP(CAP_DAC_READ_SEARCH)

/* Those in force. 0 where they cannot be read. */
uint64_t jail_caps_effective(void);

/*
 * Keep these, as far as the thread has them, and no others, neither permitted nor inheritable nor ambient. 0 or a
 * negative errno.
 */
int jail_caps_keep(uint64_t caps);

/*
 * No program that the thread starts can have any. 0, also for a thread without the right to say so, which no_new_privs
 * has to do for; or a negative errno.
 */
int jail_caps_bound(void);

#endif
