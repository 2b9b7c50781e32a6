/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_UTF8_H
#define CAISSON_COMMON_UTF8_H

/* UTF-8, for formats whose strings have to be valid. Source: RFC 3629, sections 3 and 4. */

#include <stddef.h>

/* Bytes of the character at s (a NUL is one of length 1, and ends the string), or 0: there is no valid one. */
size_t utf8_length(const char *s);

/* Make every byte that belongs to no valid character a '?'. s: ended by NUL. */
void utf8_clean(char *s);

#endif
