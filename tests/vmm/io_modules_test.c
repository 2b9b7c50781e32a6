/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/io.h"

static bool wishes_for(const struct io_config *config, const char *name)
{
    struct boot_module_wish wishes[IO_MODULES_MAX];
    size_t count = io_modules(config, wishes);
    assert_true(count <= IO_MODULES_MAX);
    for (size_t i = 0; i < count; i++)
        if (strcmp(wishes[i].name, name) == 0)
            return wishes[i].optional;
    return false;
}

static void a_machine_without_devices_needs_no_drivers(void **state)
{
    const struct io_config none = {.packed = false};
    (void)state;
    assert_false(io_is_wanted(&none));
    assert_false(wishes_for(&none, "virtio_pci"));
    assert_false(wishes_for(&none, "virtio_blk"));
    assert_true(wishes_for(&none, "overlay"));
}

static void each_device_needs_its_driver_and_the_bus(void **state)
{
    const struct io_config disk = {.disk_count = 1}, share = {.share_count = 1}, net = {.net_count = 1},
                           vsock = {.vsock = {.path = "v"}}, rng = {.rng = true}, balloon = {.balloon = true},
                           console = {.console = true};
    const struct {
        const struct io_config *config;
        const char *driver;
    } rows[] = {{&disk, "virtio_blk"},       {&share, "virtiofs"},
                {&net, "virtio_net"},        {&vsock, "vmw_vsock_virtio_transport"},
                {&rng, "virtio_rng"},        {&balloon, "virtio_balloon"},
                {&console, "virtio_console"}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(io_is_wanted(rows[i].config));
        assert_true(wishes_for(rows[i].config, rows[i].driver));
        assert_true(wishes_for(rows[i].config, CONFIG_VIRTIO_MMIO ? "virtio_mmio" : "virtio_pci"));
        assert_false(wishes_for(rows[i].config, rows[(i + 1) % 7].driver));
    }
}

static void a_disk_that_is_verified_needs_the_device_mapper(void **state)
{
    const struct io_config plain = {.disk_count = 2}, second = {.disks = {{0}, {.root_hash = "a"}}, .disk_count = 2},
                           beyond = {.disks = {{0}, {.root_hash = "a"}}, .disk_count = 1};
    (void)state;
    assert_false(wishes_for(&plain, "dm_verity"));
    assert_false(wishes_for(&beyond, "dm_verity"));
    assert_int_equal(wishes_for(&second, "dm_verity"), CONFIG_VERITY);
}

static void a_machine_with_everything_has_room_for_all_drivers(void **state)
{
    const struct io_config all = {.console = true,
                                  .vsock = {.path = "v"},
                                  .rng = true,
                                  .balloon = true,
                                  .disks = {{.root_hash = "a"}},
                                  .disk_count = 1,
                                  .share_count = 1,
                                  .net_count = 1};
    (void)state;
    assert_true(wishes_for(&all, "virtio_balloon"));
    assert_true(wishes_for(&all, "squashfs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_without_devices_needs_no_drivers),
        cmocka_unit_test(each_device_needs_its_driver_and_the_bus),
        cmocka_unit_test(a_disk_that_is_verified_needs_the_device_mapper),
        cmocka_unit_test(a_machine_with_everything_has_room_for_all_drivers),
    };
    return cmocka_run_group_tests_name("vmm/io_modules", tests, NULL, NULL);
}
