/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Globs of launch policies: "*" stands for any bytes, none included, "?" for any one byte, and a backslash takes "*",
 * "?" and itself for what they are. Nothing else has a meaning; "/" is a byte like any other. A glob covers the whole
 * text.
 *
 * Time is proportional to the text plus the glob, whatever both hold: what stands before the first and behind the last
 * star is compared in place, each piece between two stars is looked for once, leftmost first, with one machine word of
 * state (Shift-And: Baeza-Yates and Gonnet, 1992). Therefore such a piece has at most 64 bytes. Pure.
 */
#ifndef CAISSON_POLICY_LAUNCH_PATTERN_H
#define CAISSON_POLICY_LAUNCH_PATTERN_H

#include <stdbool.h>

#define PATTERN_BYTES_MAX 1024u /* of a glob, as it is written */
#define PATTERN_PIECE_MAX 64u   /* bytes that stand between two stars */

/* NULL, or what is wrong with a glob. */
const char *pattern_check(const char *glob);
/* glob: one that pattern_check accepts. */
bool pattern_match(const char *glob, const char *text);

#endif
