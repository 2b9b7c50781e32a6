/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_CONSOLE_TEXT_H
#define CAISSON_VMM_CONSOLE_TEXT_H

/*
 * Console output as text that a terminal can show without obeying it. A guest may print anything: sequences that rename
 * the window, move the cursor over what was said before, or make the terminal type an answer. What common/text.h does
 * for one-line messages is done here for a stream of lines: line feeds and tabs stay, carriage returns go, all other
 * control characters (also the 8-bit ones and their UTF-8 forms) and bytes that are no UTF-8 become '?'.
 */

#include <stddef.h>
#include <stdint.h>

/* Most bytes that one byte can set free: those of a character that it completes. */
#define CONSOLE_TEXT_STEP_BYTES 4

/* Zeroed means: at the start of the text. */
struct console_text {
    uint8_t held[4]; /* a character not yet complete */
    uint8_t held_count;
    uint8_t wanted; /* its length; 0: none is under way */
};

/*
 * Take the next byte. out: gets what can be shown now. Returns how many bytes that is, 0 to CONSOLE_TEXT_STEP_BYTES.
 * Up to any byte, no more has come out than went in.
 */
size_t console_text_step(struct console_text *t, uint8_t byte, char out[CONSOLE_TEXT_STEP_BYTES]);

/*
 * A whole text at once, as a string; a character cut off at its end becomes '?'. bytes: n of them. out: size bytes, at
 * least 1; n + 1 suffice, what does not fit is left out; with that size it may be the memory of bytes itself. Returns
 * the length without the NUL, which is always there.
 */
size_t console_text_make(const uint8_t *bytes, size_t n, char *out, size_t size);
/* The same for a line that becomes part of a message: tabs, which would be taken for gaps of a table, are blanks. */
size_t console_text_make_line(const uint8_t *bytes, size_t n, char *out, size_t size);

#endif
