/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The line as a whole, and the requests that are no hypercalls.
 */
#include "vmm/softhv/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/mshv/names.h"
#include "vmm/softhv/trace_int.h"

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define MAX_ROUTES   4u
#define RESULT_BYTES 24u
#define MIN_LINE     64u

/* The argument as a structure, from a copy at any alignment. row_of has compared the sizes. */
#define LOAD(structure, from) memcpy(&(structure), (from), sizeof(structure))

/* ---- Device ---- */

static void add_create_partition(struct text *t, const struct softhv_trace_record *r)
{
    static const struct softhv_trace_bit flags[] = {
        {UINT64_C(1) << MSHV_PT_BIT_LAPIC, "LAPIC"},
        {UINT64_C(1) << MSHV_PT_BIT_X2APIC, "X2APIC"},
        {UINT64_C(1) << MSHV_PT_BIT_GPA_SUPER_PAGES, "GPA_SUPER_PAGES"},
        {UINT64_C(1) << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES, "CPU_AND_XSAVE_FEATURES"},
        {UINT64_C(1) << MSHV_PT_BIT_NESTED_VIRTUALIZATION, "NESTED_VIRTUALIZATION"},
        {UINT64_C(1) << MSHV_PT_BIT_SMT_ENABLED_GUEST, "SMT_ENABLED_GUEST"},
    };
    struct mshv_create_partition_v2 a = {0};
    memcpy(&a, r->before, r->bytes < sizeof(a) ? r->bytes : sizeof(a));
    uint64_t isolation = a.pt_isolation;
    softhv_trace_bits(t, "pt_flags", flags, COUNT(flags), a.pt_flags);
    softhv_trace_name(t, "pt_isolation", isolation == MSHV_PT_ISOLATION_NONE ? "NONE" : NULL, isolation);
    if (r->bytes < sizeof(a))
        return;
    softhv_trace_dec(t, "pt_num_cpu_fbanks", a.pt_num_cpu_fbanks);
    softhv_trace_hex(t, "pt_cpu_fbanks0", a.pt_cpu_fbanks[0]);
    softhv_trace_hex(t, "pt_cpu_fbanks1", a.pt_cpu_fbanks[1]);
    softhv_trace_hex(t, "pt_disabled_xsave", a.pt_disabled_xsave);
    softhv_trace_reserved(t, "pt_rsvd", a.pt_rsvd, sizeof(a.pt_rsvd));
    softhv_trace_reserved(t, "pt_rsvd1", (const uint8_t *)&a + offsetof(struct mshv_create_partition_v2, pt_rsvd1),
                          sizeof(a.pt_rsvd1));
}

/* ---- Partition ---- */

static void add_create_vp(struct text *t, const struct softhv_trace_record *r)
{
    struct mshv_create_vp a;
    LOAD(a, r->before);
    softhv_trace_dec(t, "vp_index", a.vp_index);
}

static void add_memory(struct text *t, const struct softhv_trace_record *r)
{
    static const struct softhv_trace_bit flags[] = {
        {1u << MSHV_SET_MEM_BIT_WRITABLE, "WRITABLE"},
        {1u << MSHV_SET_MEM_BIT_EXECUTABLE, "EXECUTABLE"},
        {1u << MSHV_SET_MEM_BIT_UNMAP, "UNMAP"},
    };
    struct mshv_user_mem_region a;
    LOAD(a, r->before);
    softhv_trace_hex(t, "guest_pfn", a.guest_pfn);
    softhv_trace_hex(t, "size", a.size);
    softhv_trace_hex(t, "userspace_addr", a.userspace_addr);
    softhv_trace_bits(t, "flags", flags, COUNT(flags), a.flags);
    softhv_trace_reserved(t, "rsvd", a.rsvd, sizeof(a.rsvd));
}

static void add_irqfd(struct text *t, const struct softhv_trace_record *r)
{
    static const struct softhv_trace_bit flags[] = {{1u << MSHV_IRQFD_BIT_DEASSIGN, "DEASSIGN"},
                                                    {1u << MSHV_IRQFD_BIT_RESAMPLE, "RESAMPLE"}};
    struct mshv_user_irqfd a;
    LOAD(a, r->before);
    text_add(t, " fd=%" PRId32 " resamplefd=%" PRId32, a.fd, a.resamplefd);
    softhv_trace_dec(t, "gsi", a.gsi);
    softhv_trace_bits(t, "flags", flags, COUNT(flags), a.flags);
}

static void add_ioeventfd(struct text *t, const struct softhv_trace_record *r)
{
    static const struct softhv_trace_bit flags[] = {
        {1u << MSHV_IOEVENTFD_BIT_DATAMATCH, "DATAMATCH"},
        {1u << MSHV_IOEVENTFD_BIT_PIO, "PIO"},
        {1u << MSHV_IOEVENTFD_BIT_DEASSIGN, "DEASSIGN"},
    };
    struct mshv_user_ioeventfd a;
    LOAD(a, r->before);
    text_add(t, " fd=%" PRId32, a.fd);
    softhv_trace_hex(t, "addr", a.addr);
    softhv_trace_dec(t, "len", a.len);
    softhv_trace_hex(t, "datamatch", a.datamatch);
    softhv_trace_bits(t, "flags", flags, COUNT(flags), a.flags);
    softhv_trace_reserved(t, "rsvd", a.rsvd, sizeof(a.rsvd));
}

/* As many entries as the copy holds, whatever nr says. */
static void add_routing(struct text *t, const struct softhv_trace_record *r)
{
    struct mshv_user_irq_table a;
    struct mshv_user_irq_entry e;
    LOAD(a, r->before);
    softhv_trace_dec(t, "nr", a.nr);
    if (a.rsvd != 0)
        softhv_trace_hex(t, "rsvd", a.rsvd);
    const uint8_t *entries = (const uint8_t *)r->before + sizeof(a);
    size_t there = (r->bytes - sizeof(a)) / sizeof(e);
    size_t count = a.nr < there ? a.nr : there;
    count = count < MAX_ROUTES ? count : MAX_ROUTES;
    for (size_t i = 0; i < count; i++) {
        memcpy(&e, entries + i * sizeof(e), sizeof(e));
        text_add(t, " entry={gsi=%" PRIu32 ",address_lo=0x%x,address_hi=0x%x,data=0x%x}", e.gsi, e.address_lo,
                 e.address_hi, e.data);
    }
    if (count < a.nr)
        text_add(t, " ...");
}

static void add_bitmap(struct text *t, const struct softhv_trace_record *r)
{
    struct mshv_gpap_access_bitmap a;
    LOAD(a, r->before);
    softhv_trace_name(t, "access_type", mshv_name_gpap_access_type(a.access_type), a.access_type);
    softhv_trace_name(t, "access_op", mshv_name_gpap_access_op(a.access_op), a.access_op);
    softhv_trace_hex(t, "gpap_base", a.gpap_base);
    softhv_trace_dec(t, "page_count", a.page_count);
    softhv_trace_reserved(t, "rsvd", a.rsvd, sizeof(a.rsvd));
}

/* ---- VP ---- */

static void add_run(struct text *t, const struct softhv_trace_record *r)
{
    struct hv_message message;
    if (r->after == NULL || r->result < 0 || r->bytes < sizeof(message))
        return;
    LOAD(message, r->after);
    text_add(t, " ->");
    softhv_trace_message(t, &message);
}

static void add_vp_state(struct text *t, const struct softhv_trace_record *r)
{
    struct mshv_get_set_vp_state a;
    LOAD(a, r->before);
    softhv_trace_name(t, "type", mshv_name_vp_state(a.type), a.type);
    softhv_trace_dec(t, "buf_sz", a.buf_sz);
    softhv_trace_reserved(t, "rsvd", a.rsvd, sizeof(a.rsvd));
    if (r->after == NULL)
        return;
    LOAD(a, r->after);
    text_add(t, " ->");
    softhv_trace_dec(t, "buf_sz", a.buf_sz);
}

static void add_mmap(struct text *t, const struct softhv_trace_record *r)
{
    uint64_t a[2];
    LOAD(a, r->before);
    uint64_t page = a[0] >> MSHV_PAGE_SHIFT;
    softhv_trace_name(t, "offset", a[0] % MSHV_HV_PAGE_SIZE == 0 ? mshv_name_vp_mmap(page) : NULL, a[0]);
    softhv_trace_dec(t, "bytes", a[1]);
}

static void add_hvcall(struct text *t, const struct softhv_trace_record *r)
{
    struct mshv_root_hvcall a;
    LOAD(a, r->before);
    softhv_trace_hvcall(t, r, &a);
}

/* ---- Requests ---- */

#define DEVICE    (1u << SOFTHV_ON_DEVICE)
#define PARTITION (1u << SOFTHV_ON_PARTITION)
#define VP        (1u << SOFTHV_ON_VP)
#define ANY       (DEVICE | PARTITION | VP)

struct row {
    unsigned on; /* kinds of descriptor that take it */
    uint32_t request;
    const char *name;
    size_t bytes; /* of the argument, at least; 0: none, or none that is read */
    void (*add)(struct text *t, const struct softhv_trace_record *r);
};

#define ARGUMENT(request, type) (request), #request, sizeof(type)

static const struct row rows[] = {
    {ANY, SOFTHV_TRACE_OPEN, "open", 0, NULL},
    {ANY, SOFTHV_TRACE_CLOSE, "close", 0, NULL},
    {ANY, SOFTHV_TRACE_MMAP, "mmap", 2 * sizeof(uint64_t), add_mmap},
    {DEVICE, ARGUMENT(MSHV_CREATE_PARTITION, struct mshv_create_partition), add_create_partition},
    {ANY, ARGUMENT(MSHV_ROOT_HVCALL, struct mshv_root_hvcall), add_hvcall},
    {PARTITION, MSHV_INITIALIZE_PARTITION, "MSHV_INITIALIZE_PARTITION", 0, NULL},
    {PARTITION, ARGUMENT(MSHV_CREATE_VP, struct mshv_create_vp), add_create_vp},
    {PARTITION, ARGUMENT(MSHV_SET_GUEST_MEMORY, struct mshv_user_mem_region), add_memory},
    {PARTITION, ARGUMENT(MSHV_IRQFD, struct mshv_user_irqfd), add_irqfd},
    {PARTITION, ARGUMENT(MSHV_IOEVENTFD, struct mshv_user_ioeventfd), add_ioeventfd},
    {PARTITION, ARGUMENT(MSHV_SET_MSI_ROUTING, struct mshv_user_irq_table), add_routing},
    {PARTITION, ARGUMENT(MSHV_GET_GPAP_ACCESS_BITMAP, struct mshv_gpap_access_bitmap), add_bitmap},
    {VP, MSHV_RUN_VP, "MSHV_RUN_VP", 0, add_run},
    {VP, ARGUMENT(MSHV_GET_VP_STATE, struct mshv_get_set_vp_state), add_vp_state},
    {VP, ARGUMENT(MSHV_SET_VP_STATE, struct mshv_get_set_vp_state), add_vp_state},
};

/* Requests of kernels outside the mainline, which answers ENOTTY; existing programs try some of them first. */
static const struct {
    unsigned on;
    uint32_t request;
    const char *name;
} out_of_tree[] = {
    {DEVICE, MSHV_LEGACY_GET_HOST_PARTITION_PROPERTY, "GET_HOST_PARTITION_PROPERTY"},
    {PARTITION, 0xC00CB808u, "CREATE_DEVICE"},
    {PARTITION, 0x4010B809u, "MODIFY_GPA_HOST_ACCESS"},
    {PARTITION, 0x4010B80Au, "IMPORT_ISOLATED_PAGES"},
    {PARTITION, 0x4010B8F0u, "INSTALL_INTERCEPT"},
    {PARTITION, 0x4018B8F1u, "ASSERT_INTERRUPT"},
    {PARTITION, 0x4010B8F2u, "SET_PARTITION_PROPERTY"},
    {PARTITION, 0xC010B8F3u, "GET_PARTITION_PROPERTY"},
    {PARTITION, 0x4D06B8F4u, "COMPLETE_ISOLATED_IMPORT"},
    {PARTITION, 0x4010B8F5u, "ISSUE_PSP_GUEST_REQUEST"},
    {PARTITION, 0x4010B8F6u, "SEV_SNP_AP_CREATE"},
    {PARTITION, 0xC00CB8F7u, "SIGNAL_EVENT_DIRECT"},
    {PARTITION, 0x4010B8F8u, "POST_MESSAGE_DIRECT"},
    {PARTITION, 0x4010B8F9u, "REGISTER_DELIVERABILITY_NOTIFICATIONS"},
    {VP, 0xC010B8F0u, "GET_VP_REGISTERS"},
    {VP, 0x4010B8F1u, "SET_VP_REGISTERS"},
    {VP, MSHV_LEGACY_VP_TRANSLATE_GVA, "VP_TRANSLATE_GVA"},
    {VP, 0x4030B8F3u, "VP_REGISTER_INTERCEPT_RESULT"},
    {VP, 0xC028B8F4u, "GET_VP_CPUID_VALUES"},
    {VP, 0xC020B8F5u, "READ_GPA"},
    {VP, 0x4020B8F6u, "WRITE_GPA"},
    {ANY, 0x4018B800u, "SET_DEVICE_ATTR"}, /* on a descriptor that CREATE_DEVICE returns */
    {ANY, 0x4018B801u, "GET_DEVICE_ATTR"},
    {ANY, 0x4018B802u, "HAS_DEVICE_ATTR"},
};

/* Of other kinds of descriptor too, if `on` has them all. */
static const struct row *row_of(unsigned on, uint32_t request)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if ((rows[i].on & on) != 0 && rows[i].request == request)
            return &rows[i];
    return NULL;
}

static const char *out_of_tree_name(unsigned on, uint32_t request)
{
    for (size_t i = 0; i < COUNT(out_of_tree); i++)
        if ((out_of_tree[i].on & on) != 0 && out_of_tree[i].request == request)
            return out_of_tree[i].name;
    return NULL;
}

/* A request without a row for this kind of descriptor. */
static void add_stranger(struct text *t, unsigned on, uint32_t request)
{
    const char *legacy = out_of_tree_name(on, request);
    const struct row *elsewhere = row_of(ANY, request);
    if (legacy != NULL)
        text_add(t, " MSHV_%s out-of-tree", legacy);
    else if (elsewhere != NULL)
        text_add(t, " %s wrong-descriptor", elsewhere->name);
    else
        text_add(t, " unknown");
    softhv_trace_hex(t, "request", request);
}

static void add_request(struct text *t, const struct softhv_trace_record *r)
{
    unsigned on = 1u << r->on;
    const struct row *row = row_of(on, r->request);
    if (row == NULL) {
        add_stranger(t, on, r->request);
        return;
    }
    text_add(t, " %s", row->name);
    if (row->bytes != 0 && (r->before == NULL || r->bytes < row->bytes))
        text_add(t, " arg=?");
    else if (row->add != NULL)
        row->add(t, r);
}

/* ---- The line ---- */

static void add_object(struct text *t, const struct softhv_trace_record *r)
{
    if (r->on == SOFTHV_ON_DEVICE)
        text_add(t, "device");
    else
        text_add(t, "partition=%" PRIu64, r->partition);
    if (r->on == SOFTHV_ON_VP)
        text_add(t, " vp=%" PRIu32, r->vp);
}

static const char *error_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {
        {EPERM, "EPERM"},   {ENOENT, "ENOENT"}, {EINTR, "EINTR"},         {EIO, "EIO"},
        {E2BIG, "E2BIG"},   {EBADF, "EBADF"},   {EAGAIN, "EAGAIN"},       {ENOMEM, "ENOMEM"},
        {EACCES, "EACCES"}, {EFAULT, "EFAULT"}, {EBUSY, "EBUSY"},         {EEXIST, "EEXIST"},
        {ENODEV, "ENODEV"}, {EINVAL, "EINVAL"}, {ENFILE, "ENFILE"},       {EMFILE, "EMFILE"},
        {ENOTTY, "ENOTTY"}, {ENOSPC, "ENOSPC"}, {ENXIO, "ENXIO"},         {ERANGE, "ERANGE"},
        {ENOSYS, "ENOSYS"}, {EPROTO, "EPROTO"}, {EOVERFLOW, "EOVERFLOW"}, {EOPNOTSUPP, "EOPNOTSUPP"},
        {ESRCH, "ESRCH"},   {EDOM, "EDOM"},     {ETIMEDOUT, "ETIMEDOUT"}, {ECANCELED, "ECANCELED"},
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (names[i].error == error)
            return names[i].name;
    return NULL;
}

/* " = 5", " = -1 EINVAL"; an errno without a name by number. Returns the length. */
static size_t format_result(char *buffer, int result)
{
    struct text t;
    text_init(&t, buffer, RESULT_BYTES);
    const char *name = result < 0 && result != INT_MIN ? error_name(-result) : NULL;
    if (result >= 0)
        text_add(&t, " = %d", result);
    else if (name != NULL)
        text_add(&t, " = -1 %s", name);
    else
        text_add(&t, " = -1 errno:%u", 0u - (unsigned)result);
    return t.length;
}

/* The result is what people look for first, so it stays when the fields have to be cut. */
static size_t format_line(const struct softhv_trace_record *r, char *line, size_t size)
{
    char result[RESULT_BYTES];
    struct text t;
    size_t bytes = format_result(result, r->result);
    text_init(&t, line, size - bytes);
    add_object(&t, r);
    add_request(&t, r);
    memcpy(line + t.length, result, bytes + 1);
    return t.length + bytes;
}

size_t softhv_trace_format(const struct softhv_trace_record *r, char *line, size_t size)
{
    char small[MIN_LINE];
    if (size >= sizeof(small))
        return format_line(r, line, size);
    if (size == 0)
        return 0;
    size_t length = format_line(r, small, sizeof(small));
    length = length < size - 1 ? length : size - 1;
    memcpy(line, small, length);
    line[length] = '\0';
    return length;
}
