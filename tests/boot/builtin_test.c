/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/builtin.h"

/* What the initramfs has to carry for every guest stays small. */
#define GUEST_INIT_MAX_BYTES (CONFIG_AGENT ? 900u * 1024 : 300u * 1024)

static void guest_init_is_a_small_static_program(void **state)
{
    size_t bytes = (size_t)(guest_init_end - guest_init_start);
    Elf64_Ehdr header;
    (void)state;
    if (!CONFIG_GUEST_INIT) {
        assert_int_equal(bytes, 0);
        return;
    }
    assert_in_range(bytes, sizeof header, GUEST_INIT_MAX_BYTES);
    memcpy(&header, guest_init_start, sizeof header);
    assert_memory_equal(header.e_ident, ELFMAG, SELFMAG);
    assert_int_equal(header.e_machine, EM_X86_64);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr part;
        memcpy(&part, guest_init_start + header.e_phoff + i * sizeof part, sizeof part);
        assert_int_not_equal(part.p_type, PT_INTERP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_init_is_a_small_static_program),
    };
    return cmocka_run_group_tests_name("boot/builtin", tests, NULL, NULL);
}
