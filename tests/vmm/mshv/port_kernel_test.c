/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/smaps.h"
#include "vmm/mshv/abi.h"
#include "vmm/mshv/port.h"

static void errno_is_converted_in_every_function(void **state)
{
    (void)state;
    const struct mshv_port port = mshv_port_kernel();
    void *address = NULL;
    assert_string_equal(port.ops->name, "/dev/mshv");
    assert_int_equal(mshv_port_ioctl(&port, -1, MSHV_INITIALIZE_PARTITION, NULL), -EBADF);
    assert_int_equal(mshv_port_mmap(&port, -1, 4096, 0, &address), -EBADF);
    assert_null(address);
    assert_int_equal(mshv_port_munmap(&port, NULL, 0), -EINVAL);
    assert_int_equal(mshv_port_close(&port, -1), -EBADF);
}

static void request_reaches_a_descriptor_that_knows_none(void **state)
{
    (void)state;
    const struct mshv_port port = mshv_port_kernel();
    struct mshv_run_vp args;
    int fd = eventfd(0, EFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(mshv_port_ioctl(&port, fd, MSHV_RUN_VP, &args), -ENOTTY);
    assert_int_equal(mshv_port_close(&port, fd), 0);
    assert_int_equal(mshv_port_close(&port, fd), -EBADF);
}

static void mapping_is_shared_writable_and_at_its_offset(void **state)
{
    (void)state;
    const struct mshv_port port = mshv_port_kernel();
    void *address = NULL;
    char seen = 0;
    int fd = memfd_create("vp", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 8192), 0);
    assert_int_equal(mshv_port_mmap(&port, fd, 4096, 4096, &address), 0);
    *(char *)address = 'x';
    assert_int_equal(pread(fd, &seen, 1, 4096), 1);
    assert_int_equal(seen, 'x');
    assert_int_equal(mshv_port_munmap(&port, address, 4096), 0);
    assert_int_equal(mshv_port_close(&port, fd), 0);
}

static void a_page_of_a_vp_is_in_no_dump(void **state)
{
    (void)state;
    const struct mshv_port port = mshv_port_kernel();
    void *address = NULL;
    struct smaps_entry e;
    int fd = memfd_create("vp", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(mshv_port_mmap(&port, fd, 4096, 0, &address), 0);
    assert_true(smaps_find(address, &e));
    assert_true(smaps_has_flag(&e, "dd"));
    assert_int_equal(mshv_port_munmap(&port, address, 4096), 0);
    assert_int_equal(mshv_port_close(&port, fd), 0);
}

/* On a host that has the device this opens it. */
static void device_opens_where_it_is(void **state)
{
    (void)state;
    const struct mshv_port port = mshv_port_kernel();
    const int present = access(MSHV_DEVICE_PATH, F_OK) == 0;
    int fd = mshv_port_open(&port);
    assert_true(present ? fd >= 0 || fd == -EACCES || fd == -EPERM : fd == -ENOENT);
    if (fd >= 0) {
        mshv_port_close(&port, fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errno_is_converted_in_every_function),
        cmocka_unit_test(request_reaches_a_descriptor_that_knows_none),
        cmocka_unit_test(mapping_is_shared_writable_and_at_its_offset),
        cmocka_unit_test(a_page_of_a_vp_is_in_no_dump),
        cmocka_unit_test(device_opens_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
