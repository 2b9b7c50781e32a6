/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/vp.h"

#define PT 5
#define VP 9

static struct mshv_partition partition_of(struct port_script *script)
{
    return (struct mshv_partition){.port = port_script_port(script), .fd = PT, .initialized = true};
}

static struct mshv_vp vp_of(struct port_script *script)
{
    return (struct mshv_vp){.port = port_script_port(script), .fd = VP, .index = 2};
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void vp_is_made_with_both_pages(void **state)
{
    (void)state;
    struct hv_vp_register_page page = {.version = 1};
    struct hv_message message = {.header.message_type = HVMSG_X64_HALT};
    struct hv_message copy;
    struct mshv_vp vp;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    struct port_step *step = port_expect_ioctl(script, PT, MSHV_CREATE_VP, VP);
    port_expect_mmap(script, VP, 0, 0, &page);
    port_expect_mmap(script, VP, 4096, 0, &message);
    port_expect_munmap(script, &page);
    port_expect_munmap(script, &message);
    port_expect_close(script, VP);
    assert_int_equal(mshv_vp_create(&vp, &partition, 255, NULL), 0);
    assert_memory_equal(step->argument, "\xff\0\0\0", 4);
    assert_ptr_equal(vp.page, &page);
    assert_int_equal(mshv_vp_read_message_page(&vp, &copy), 0);
    assert_int_equal(copy.header.message_type, HVMSG_X64_HALT);
    mshv_vp_destroy(&vp);
    mshv_vp_destroy(&vp); /* the second time is nothing */
    port_script_end(script);
}

static void vp_does_without_pages_that_are_not_there(void **state)
{
    (void)state;
    struct hv_message copy;
    struct mshv_vp vp;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_CREATE_VP, VP);
    port_expect_mmap(script, VP, 0, -ENODEV, NULL);
    port_expect_mmap(script, VP, 4096, -ENODEV, NULL);
    port_expect_close(script, VP);
    assert_int_equal(mshv_vp_create(&vp, &partition, 0, NULL), 0);
    assert_null(vp.page);
    assert_int_equal(mshv_vp_read_message_page(&vp, &copy), -ENODEV);
    mshv_vp_destroy(&vp);
    port_script_end(script);
}

static void register_page_of_an_unknown_version_is_not_used(void **state)
{
    (void)state;
    struct hv_vp_register_page page = {.version = 2, .isvalid = 1};
    struct mshv_vp vp;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_CREATE_VP, VP);
    port_expect_mmap(script, VP, 0, 0, &page);
    port_expect_munmap(script, &page);
    port_expect_mmap(script, VP, 4096, -ENODEV, NULL);
    assert_int_equal(mshv_vp_create(&vp, &partition, 0, NULL), 0);
    assert_null(vp.page);
    port_script_end(script);
}

static void failing_mapping_ends_the_vp(void **state)
{
    (void)state;
    struct hv_vp_register_page page = {.version = 1};
    for (int failing = 0; failing < 2; failing++) {
        struct err err;
        struct mshv_vp vp;
        struct port_script *script = port_script_new();
        const struct mshv_partition partition = partition_of(script);
        port_expect_ioctl(script, PT, MSHV_CREATE_VP, VP);
        if (failing == 1) {
            port_expect_mmap(script, VP, 0, 0, &page);
        }
        port_expect_mmap(script, VP, failing == 1 ? 4096 : 0, -EINVAL, NULL);
        if (failing == 1) {
            port_expect_munmap(script, &page);
        }
        port_expect_close(script, VP);
        assert_int_equal(mshv_vp_create(&vp, &partition, 0, &err), -EINVAL);
        assert_non_null(strstr(err.text, failing == 1 ? "message page" : "register page"));
        mshv_vp_destroy(&vp);
        port_script_end(script);
    }
}

static void failing_creation_names_the_vp(void **state)
{
    (void)state;
    static const int codes[] = {-EEXIST, -EIO, -EINVAL, -ENOMEM, -EBADF};
    for (size_t i = 0; i < 5; i++) {
        struct err err;
        struct mshv_vp vp;
        struct port_script *script = port_script_new();
        const struct mshv_partition partition = partition_of(script);
        port_expect_ioctl(script, PT, MSHV_CREATE_VP, codes[i]);
        assert_int_equal(mshv_vp_create(&vp, &partition, 17, &err), codes[i]);
        assert_non_null(strstr(err.text, "create VP 17"));
        mshv_vp_destroy(&vp);
        port_script_end(script);
    }
}

static void there_are_256_vps(void **state)
{
    (void)state;
    struct mshv_vp vp;
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    assert_int_equal(mshv_vp_create(&vp, &partition, 256, &err), -EINVAL);
    assert_int_equal(mshv_vp_create(&vp, &partition, UINT32_MAX, &err), -EINVAL);
    assert_null(vp.port);
    port_script_end(script);
}

/* ---- Run --------------------------------------------------------------------------------------------------------- */

static void run_returns_what_the_message_says(void **state)
{
    (void)state;
    struct hv_message message = {.header.message_type = HVMSG_X64_APIC_EOI};
    const struct hv_x64_apic_eoi_message eoi = {.vp_index = 2, .interrupt_vector = 0x41};
    struct mshv_exit exit;
    struct port_script *script = port_script_new();
    struct mshv_vp vp = vp_of(script);
    memcpy(message.payload, &eoi, sizeof eoi);
    struct port_step *step = port_expect_ioctl(script, VP, MSHV_RUN_VP, 0);
    step->reply = &message;
    step->reply_bytes = sizeof message;
    assert_int_equal(mshv_vp_run(&vp, &exit, NULL), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_APIC_EOI);
    assert_int_equal(exit.u.eoi.vector, 0x41);
    port_script_end(script);
}

static void run_that_says_nothing_is_no_exit(void **state)
{
    (void)state;
    struct mshv_exit exit = {.kind = MSHV_EXIT_HALT};
    struct port_script *script = port_script_new();
    struct mshv_vp vp = vp_of(script);
    port_expect_ioctl(script, VP, MSHV_RUN_VP, 0);
    assert_int_equal(mshv_vp_run(&vp, &exit, NULL), 0);
    assert_int_equal(exit.kind, MSHV_EXIT_NONE);
    port_script_end(script);
}

static void message_for_another_vp_is_refused(void **state)
{
    (void)state;
    const struct hv_message message = {.header.message_type = HVMSG_X64_APIC_EOI};
    struct mshv_exit exit;
    struct err err;
    struct port_script *script = port_script_new();
    struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_ioctl(script, VP, MSHV_RUN_VP, 0);
    step->reply = &message;
    step->reply_bytes = sizeof message;
    assert_int_equal(mshv_vp_run(&vp, &exit, &err), -EPROTO);
    assert_non_null(strstr(err.text, "vp_index"));
    port_script_end(script);
}

static void interrupted_run_has_no_text(void **state)
{
    (void)state;
    static const int codes[] = {-EINTR, -EAGAIN};
    for (size_t i = 0; i < 2; i++) {
        struct err err = {.text = "untouched"};
        struct mshv_exit exit;
        struct port_script *script = port_script_new();
        struct mshv_vp vp = vp_of(script);
        port_expect_ioctl(script, VP, MSHV_RUN_VP, codes[i]);
        assert_int_equal(mshv_vp_run(&vp, &exit, &err), -EINTR);
        assert_string_equal(err.text, "untouched");
        port_script_end(script);
    }
}

static void failing_run_is_told(void **state)
{
    (void)state;
    struct err err;
    struct mshv_exit exit;
    struct port_script *script = port_script_new();
    struct mshv_vp vp = vp_of(script);
    port_expect_ioctl(script, VP, MSHV_RUN_VP, -EIO);
    assert_int_equal(mshv_vp_run(&vp, &exit, &err), -EIO);
    assert_non_null(strstr(err.text, "run a VP"));
    port_script_end(script);
}

/* ---- CPUID, MSRs, translation ------------------------------------------------------------------------------------ */

static void cpuid_leaf_is_sent_in_60_bytes(void **state)
{
    (void)state;
    const struct hv_register_x64_cpuid_result_parameters leaf = {.input_eax = 7,
                                                                 .input_ecx = 1,
                                                                 .subleaf_specific = 1,
                                                                 .always_override = 1,
                                                                 .ebx = 2,
                                                                 .ebx_mask = 3,
                                                                 .edx_mask = 9};
    struct hv_input_register_intercept_result in;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_hvcall(script, VP, HVCALL_REGISTER_INTERCEPT_RESULT, NULL, 0);
    assert_int_equal(mshv_vp_set_cpuid(&vp, &leaf, NULL), 0);
    assert_int_equal(step->input_bytes, 60);
    memcpy(&in, step->input, sizeof in);
    assert_int_equal(in.vp_index, 2);
    assert_int_equal(in.intercept_type, HV_INTERCEPT_TYPE_X64_CPUID);
    assert_memory_equal(step->input + 16, &leaf, sizeof leaf);
    port_script_end(script);
}

static void action_at_an_msr_is_sent(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_hvcall(script, VP, HVCALL_REGISTER_INTERCEPT_RESULT, NULL, 0);
    assert_int_equal(mshv_vp_set_msr_action(&vp, 0x1234, HV_INTERCEPT_ACCESS_MASK_WRITE,
                                            HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO, NULL),
                     0);
    assert_memory_equal(step->input + 8, "\x02\0\0\0\x01\0\0\0\x34\x12\0\0\x02\0\0\0\x01\0\0\0", 20);
    port_script_end(script);
}

static void refused_results_name_leaf_and_msr(void **state)
{
    (void)state;
    struct err err;
    const struct hv_register_x64_cpuid_result_parameters leaf = {.input_eax = 0x40000001, .input_ecx = 2};
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    port_expect_refusal(script, VP, HVCALL_REGISTER_INTERCEPT_RESULT, -EINVAL, HV_STATUS_INVALID_PARAMETER);
    port_expect_refusal(script, VP, HVCALL_REGISTER_INTERCEPT_RESULT, -EINVAL, HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(mshv_vp_set_cpuid(&vp, &leaf, &err), -EINVAL);
    assert_non_null(strstr(err.text, "CPUID leaf 0x40000001, subleaf 0x2"));
    assert_int_equal(mshv_vp_set_msr_action(&vp, 0xc0000080, 1, 0, &err), -EINVAL);
    assert_non_null(strstr(err.text, "MSR 0xc0000080"));
    port_script_end(script);
}

static void cpuid_leaf_is_read_back(void **state)
{
    (void)state;
    const struct hv_cpuid_result answer = {1, 2, 3, 4};
    struct hv_cpuid_result result = {0};
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_reps(script, VP, HVCALL_GET_VP_CPUID_VALUES, 1, &answer, sizeof answer);
    port_expect_refusal(script, VP, HVCALL_GET_VP_CPUID_VALUES, -EIO, HV_STATUS_OPERATION_DENIED);
    assert_int_equal(mshv_vp_get_cpuid(&vp, 0xd, 1, &result, &err), 0);
    assert_memory_equal(&result, &answer, sizeof answer);
    assert_int_equal(step->input_bytes, 48);
    assert_memory_equal(step->input + 24, "\x0d\0\0\0\x01\0\0\0", 8);
    assert_int_equal(mshv_vp_get_cpuid(&vp, 0xd, 1, &result, &err), -EIO);
    assert_non_null(strstr(err.text, "HV_STATUS_OPERATION_DENIED"));
    port_script_end(script);
}

static int translate(const struct hv_output_translate_virtual_address *answer, enum hv_translate_gva_result_code *code,
                     gpa_t *gpa)
{
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_hvcall(script, VP, HVCALL_TRANSLATE_VIRTUAL_ADDRESS, answer, sizeof *answer);
    int result =
        mshv_vp_translate(&vp, gva_make(UINT64_C(0xffff800000123456)), HV_TRANSLATE_GVA_VALIDATE_READ, code, gpa, NULL);
    assert_memory_equal(step->input + 8, "\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x23\x01\0\0\xf8\xff\x0f\x00", 24);
    port_script_end(script);
    return result;
}

static void translation_gives_the_address_to_the_byte(void **state)
{
    (void)state;
    const struct hv_output_translate_virtual_address answer = {.gpa_page = 0x789};
    enum hv_translate_gva_result_code code = HV_TRANSLATE_GVA_INTERCEPT;
    gpa_t gpa;
    assert_int_equal(translate(&answer, &code, &gpa), 0);
    assert_int_equal(code, HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(gpa.value, 0x789456);
}

static void translation_that_fails_gives_the_reason(void **state)
{
    (void)state;
    const struct hv_output_translate_virtual_address answer = {.result_code = HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION};
    enum hv_translate_gva_result_code code = HV_TRANSLATE_GVA_SUCCESS;
    gpa_t gpa = {77};
    assert_int_equal(translate(&answer, &code, &gpa), 0);
    assert_int_equal(code, HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
    assert_int_equal(gpa.value, 77);
}

static void translation_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    const struct hv_output_translate_virtual_address codes = {.result_code = 10};
    const struct hv_output_translate_virtual_address page = {.gpa_page = UINT64_C(1) << 52};
    enum hv_translate_gva_result_code code;
    gpa_t gpa;
    assert_int_equal(translate(&codes, &code, &gpa), -EPROTO);
    assert_int_equal(translate(&page, &code, &gpa), -EPROTO);
}

static void refused_translation_is_told(void **state)
{
    (void)state;
    struct err err;
    enum hv_translate_gva_result_code code;
    gpa_t gpa;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    port_expect_refusal(script, VP, HVCALL_TRANSLATE_VIRTUAL_ADDRESS, -EINVAL, HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(mshv_vp_translate(&vp, gva_make(0), 0, &code, &gpa, &err), -EINVAL);
    assert_non_null(strstr(err.text, "HV_STATUS_INVALID_VP_INDEX"));
    port_script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vp_is_made_with_both_pages),
        cmocka_unit_test(vp_does_without_pages_that_are_not_there),
        cmocka_unit_test(register_page_of_an_unknown_version_is_not_used),
        cmocka_unit_test(failing_mapping_ends_the_vp),
        cmocka_unit_test(failing_creation_names_the_vp),
        cmocka_unit_test(there_are_256_vps),
        cmocka_unit_test(run_returns_what_the_message_says),
        cmocka_unit_test(run_that_says_nothing_is_no_exit),
        cmocka_unit_test(message_for_another_vp_is_refused),
        cmocka_unit_test(interrupted_run_has_no_text),
        cmocka_unit_test(failing_run_is_told),
        cmocka_unit_test(cpuid_leaf_is_sent_in_60_bytes),
        cmocka_unit_test(action_at_an_msr_is_sent),
        cmocka_unit_test(refused_results_name_leaf_and_msr),
        cmocka_unit_test(cpuid_leaf_is_read_back),
        cmocka_unit_test(translation_gives_the_address_to_the_byte),
        cmocka_unit_test(translation_that_fails_gives_the_reason),
        cmocka_unit_test(translation_that_makes_no_sense_is_refused),
        cmocka_unit_test(refused_translation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
