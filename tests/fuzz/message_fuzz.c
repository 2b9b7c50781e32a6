/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the messages by which a VP comes out, whose fields a guest chooses.
 *
 * Input: two bytes that are XORed into the VP's index and the message's type, then the message. Checked: what is
 * accepted has a kind, values that its fields allow, and no more instruction bytes than there can be; what is refused
 * says why in printable text.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/mshv/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_refusal(int code, const struct err *err)
{
    require(code == -EPROTO && err->code == code && err->text[0] != '\0');
    for (const char *c = err->text; *c != '\0'; c++)
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_io(const struct mshv_exit_io_port *io)
{
    require(io->size == 1 || io->size == 2 || io->size == 4);
}

static void check_exit(const struct mshv_exit *exit)
{
    require(exit->kind < MSHV_EXIT_KIND_COUNT && mshv_exit_name(exit->kind)[0] != '\0');
    require(exit->instruction_length <= 15 && exit->cr8 <= 15 && exit->cpl <= 3);
    require(exit->instruction_bytes_count <= HV_INSTRUCTION_BYTES);
    if (exit->kind == MSHV_EXIT_IO_PORT)
        check_io(&exit->u.io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hv_message message = {.header.message_type = HVMSG_NONE};
    struct mshv_exit exit;
    struct err err = {.code = 0};
    if (size < 2)
        return 0;
    memcpy(&message, data + 2, size - 2 < sizeof(message) ? size - 2 : sizeof(message));
    message.header.message_type ^= data[1];
    int code = mshv_message_decode(&message, data[0], &exit, &err);
    if (code == 0)
        check_exit(&exit);
    else
        check_refusal(code, &err);
    return 0;
}
