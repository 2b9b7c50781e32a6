/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/mshv/irq.h"

/* The guest's view of the hypervisor: clocks, timers, IPIs and TLB flushes without the chips of a PC. */
#define SYNTHETIC                                                                                                      \
    (HV_FEATURE(HV_SYNTHETIC_HYPERVISOR_PRESENT) | HV_FEATURE(HV_SYNTHETIC_HV1) |                                      \
     HV_FEATURE(HV_SYNTHETIC_ACCESS_VP_RUN_TIME_REG) | HV_FEATURE(HV_SYNTHETIC_ACCESS_PARTITION_REFERENCE_COUNTER) |   \
     HV_FEATURE(HV_SYNTHETIC_ACCESS_SYNIC_REGS) | HV_FEATURE(HV_SYNTHETIC_ACCESS_SYNTHETIC_TIMER_REGS) |               \
     HV_FEATURE(HV_SYNTHETIC_ACCESS_INTR_CTRL_REGS) | HV_FEATURE(HV_SYNTHETIC_ACCESS_HYPERCALL_REGS) |                 \
     HV_FEATURE(HV_SYNTHETIC_ACCESS_VP_INDEX) | HV_FEATURE(HV_SYNTHETIC_ACCESS_PARTITION_REFERENCE_TSC) |              \
     HV_FEATURE(HV_SYNTHETIC_ACCESS_GUEST_IDLE_REG) | HV_FEATURE(HV_SYNTHETIC_ACCESS_FREQUENCY_REGS) |                 \
     HV_FEATURE(HV_SYNTHETIC_DIRECT_SYNTHETIC_TIMERS) | HV_FEATURE(HV_SYNTHETIC_TB_FLUSH_HYPERCALLS) |                 \
     HV_FEATURE(HV_SYNTHETIC_SYNTHETIC_CLUSTER_IPI))

/* Where a PC has them; Linux tries them when ACPI does not help. */
#define RESET_CONTROL_PORT 0xcf9u
#define KEYBOARD_PORT      0x64u

/* MTRRs on, everything write-back: what firmware would have left. */
#define MTRR_DEF_TYPE_VALUE UINT64_C(0x806)

/* ---- The end ---- */

static void end(struct vm *vm, enum vm_end kind, uint8_t code, const char *why)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&vm->lock);
    bool first = atomic_load(&vm->end) == VM_END_NONE;
    if (first) {
        (void)snprintf(vm->why, sizeof(vm->why), "%s", why);
        vm->exit_code = code;
        atomic_store_explicit(&vm->end, kind, memory_order_release);
    }
    pthread_mutex_unlock(&vm->lock);
    if (first)
        (void)!write(vm->stop_fd, &one, sizeof(one));
}

void vm_stop(struct vm *vm, enum vm_end kind, const char *why, ...)
{
    char shown[ERR_TEXT_BYTES];
    struct text t;
    va_list args;
    text_init(&t, shown, sizeof(shown));
    va_start(args, why);
    text_add_v(&t, why, args);
    va_end(args);
    end(vm, kind, 0, shown);
}

void vm_stop_with(struct vm *vm, enum vm_end kind, const struct err *err)
{
    end(vm, kind, 0, err->text);
}

static void on_power(void *ctx, enum power_event event, uint8_t code)
{
    struct vm *vm = ctx;
    switch (event) {
    case POWER_OFF: end(vm, VM_END_POWER_OFF, 0, ""); break;
    case POWER_RESET: end(vm, VM_END_RESET, 0, ""); break;
    case POWER_EXIT: end(vm, VM_END_DEBUG_EXIT, code, ""); break;
    }
}

/* ---- Interrupts ---- */

static int deliver(void *ctx, const struct ioapic_msg *msg)
{
    struct vm *vm = ctx;
    struct err err;
    const struct mshv_interrupt interrupt = {.type = (enum hv_interrupt_type)msg->mode,
                                             .vector = msg->vector,
                                             .destination = msg->dest,
                                             .logical = msg->logical,
                                             .level = msg->level};
    /* The guest programmed it: what the hypervisor refuses is lost, as on a bus without takers. */
    return mshv_irq_assert(&vm->partition, &interrupt, &err);
}

void vm_end_of_interrupt(struct vm *vm, uint8_t vector)
{
    ioapic_eoi(&vm->ioapic, vector);
}

/* ---- Aliases of memory ---- */

int vm_wake_memory(struct vm *vm, gpa_t gpa, struct err *err)
{
    if (!vm->has_aliases)
        return 0;
    pthread_mutex_lock(&vm->alias_lock);
    int woken = mshv_partition_wake(&vm->partition, gpa, err);
    pthread_mutex_unlock(&vm->alias_lock);
    return woken;
}

/* ---- Building ---- */

void vm_get_request(struct vm_request *out)
{
    *out = (struct vm_request){.partition_flags = 1u << MSHV_PT_BIT_LAPIC | 1u << MSHV_PT_BIT_X2APIC |
                                                  1u << MSHV_PT_BIT_GPA_SUPER_PAGES,
                               .synthetic_features = SYNTHETIC};
}

static int make_partition(struct vm *vm, struct err *err)
{
    struct vm_request asked;
    vm_get_request(&asked);
    struct mshv_partition_config cfg = {.flags = asked.partition_flags,
                                        .disabled_xsave_features = asked.disabled_xsave_features};
    memcpy(cfg.disabled_cpu_features, asked.disabled_cpu_features, sizeof(cfg.disabled_cpu_features));
    uint64_t allowed;
    int code = mshv_partition_create(&vm->partition, &vm->device, &cfg, err);
    if (code < 0)
        return code;
    (void)mshv_device_synthetic_features(&vm->device, &allowed);
    code = mshv_partition_set_synthetic_features(&vm->partition, asked.synthetic_features & allowed, err);
    if (code == 0)
        code = mshv_partition_initialize(&vm->partition, err);
    if (code == 0)
        code = mshv_partition_set_property(&vm->partition, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION,
                                           HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO, err);
    return code;
}

static int make_memory(struct vm *vm, const struct boot_image *image, bool huge, struct err *err)
{
    struct memory_range ranges[MEMORY_RANGES_MAX];
    for (unsigned i = 0; i < image->parts.ram_count; i++)
        ranges[i] = (struct memory_range){.gpa = gpa_make(image->parts.ram[i].gpa), .bytes = image->parts.ram[i].bytes};
    return (huge ? memory_init_huge : memory_init)(&vm->memory, ranges, image->parts.ram_count, err);
}

static int map_memory(struct vm *vm, struct err *err)
{
    int code = 0;
    for (unsigned i = 0; code == 0 && i < vm->memory.count; i++) {
        const struct memory_range *r = &vm->memory.range[i];
        code =
            mshv_partition_map(&vm->partition, r->gpa, r->host, r->bytes, MSHV_MAP_WRITABLE | MSHV_MAP_EXECUTABLE, err);
    }
    for (size_t i = 0; i < vm->partition.region_count; i++)
        vm->has_aliases |= vm->partition.regions[i].dormant;
    return code;
}

/*
 * One run of a file's bytes at guest address gpa. What is frozen, or lies in the page otherwise than in the file, is
 * copied, as are the ends that are no whole pages; the pages between them are shown.
 */
static bool load_run(struct vm *vm, const struct file *f, size_t at, gpa_t gpa, size_t bytes, bool frozen)
{
    size_t head = (GUEST_PAGE_BYTES - gpa_page_offset(gpa)) % GUEST_PAGE_BYTES;
    size_t middle = bytes > head ? (bytes - head) & ~(GUEST_PAGE_BYTES - 1) : 0;
    bool aligned = at % GUEST_PAGE_BYTES == gpa_page_offset(gpa);
    gpa_t body = gpa_make(gpa.value + head), tail = gpa_make(body.value + middle);
    if (frozen || !aligned || middle == 0 || memory_show_file(&vm->memory, body, f->fd, at + head, middle) != 0)
        return memory_write(&vm->memory, gpa, f->bytes + at, bytes);
    return memory_write(&vm->memory, gpa, f->bytes + at, head) &&
           memory_write(&vm->memory, tail, f->bytes + at + head + middle, bytes - head - middle);
}

/* Is the part a piece of this file? */
static bool is_of_file(const struct boot_part *p, const struct file *f)
{
    return f != NULL && p->bytes >= f->bytes && (size_t)(p->bytes - f->bytes) < f->length;
}

static bool load_part(struct vm *vm, const struct boot_part *p, const struct file *kernel)
{
    if (!is_of_file(p, kernel))
        return memory_write(&vm->memory, p->gpa, p->bytes, p->length);
    size_t at = (size_t)(p->bytes - kernel->bytes), end = at + p->length;
    while (at < end) {
        bool frozen;
        size_t n = file_run(kernel, at, &frozen);
        n = n < end - at ? n : end - at;
        if (!load_run(vm, kernel, at, gpa_make(p->gpa.value + (at + p->length - end)), n, frozen))
            return false;
        at += n;
    }
    return true;
}

/* Fresh memory is zero, so the tails of parts are there already. */
static int load_image(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
    static const struct err_context context = {
        .attempted = "load the boot image into guest memory",
        .what_to_do = "report this: the image was made for another machine",
    };
    for (size_t i = 0; i < cfg->image->parts.count; i++) {
        const struct boot_part *p = &cfg->image->parts.part[i];
        if (p->length != 0 && !load_part(vm, p, cfg->kernel))
            return err_fail_because(err, -EINVAL, &context, "the part '%s' does not lie in memory",
                                    boot_part_kind_name(p->kind));
    }
    return 0;
}

static int make_serial(struct vm *vm, struct serial *serial, uint16_t port, unsigned gsi, const struct vm_line *line,
                       const char *name, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make a serial port",
        .what_to_do = "free memory on the host",
    };
    const struct serial_config cfg = {.name = name,
                                      .output = line->output,
                                      .room = line->room,
                                      .ctx = line->ctx,
                                      .irq = ioapic_line(&vm->ioapic, gsi)};
    int code = serial_init(serial, &cfg);
    return code < 0 ? err_fail(err, code, &context) : serial_attach(serial, &vm->bus, port, err);
}

static int make_ioapic(struct vm *vm, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the I/O APIC",
        .what_to_do = "free memory on the host",
    };
    const struct ioapic_config cfg = {.deliver = deliver, .ctx = vm};
    int code = ioapic_init(&vm->ioapic, &cfg);
    return code < 0 ? err_fail(err, code, &context)
                    : ioapic_attach(&vm->ioapic, &vm->bus, gpa_make(BOOT_IOAPIC_GPA), err);
}

static uint64_t host_utc_s(void *ctx)
{
    struct timespec t;
    (void)ctx;
    return clock_gettime(CLOCK_REALTIME, &t) == 0 && t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0;
}

static int make_clock(struct vm *vm, const struct rtc_config *asked, struct err *err)
{
    static const struct rtc_config host = {.utc_s = host_utc_s};
    rtc_init(&vm->rtc, asked->utc_s != NULL ? asked : &host);
    return rtc_attach(&vm->rtc, &vm->bus, BOOT_PORT_RTC, err);
}

/* ---- Virtio devices ---- */

static struct irq_line line_of(void *ctx, unsigned gsi)
{
    return ioapic_line(ctx, gsi);
}

/* A guest that is about to save a dump of itself is not disturbed. */
static void on_panic(void *ctx, uint8_t events)
{
    const struct vm *vm = ctx;
    if (vm->panicked != NULL && (events & PVPANIC_PANICKED) != 0)
        vm->panicked(vm->panicked_ctx);
}

static int make_pvpanic(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
    const struct pvpanic_config config = {.report = on_panic, .ctx = vm};
    vm->panicked = cfg->panicked;
    vm->panicked_ctx = cfg->panicked_ctx;
    pvpanic_init(&vm->pvpanic, &config);
    return pvpanic_attach(&vm->pvpanic, &vm->bus, BOOT_PORT_PANIC, err);
}

static int make_io(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
    const struct io_machine machine = {.memory = &vm->memory,
                                       .partition = &vm->partition,
                                       .bus = &vm->bus,
                                       .line = line_of,
                                       .line_ctx = &vm->ioapic,
                                       .log = cfg->log,
                                       .console_output = cfg->console_virtio.output,
                                       .console_ctx = cfg->console_virtio.ctx,
                                       .lock = vm->lock_down,
                                       .reset_control = &vm->power};
    return cfg->io == NULL ? 0 : io_build(cfg->io, &machine, &vm->io, err);
}

/* Its ports hold the reset control register. */
static bool has_pci(const struct vm_config *cfg)
{
    return CONFIG_VIRTIO_PCI && cfg->io != NULL && io_is_wanted(cfg->io);
}

static int make_devices(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
    const struct power_config power = {.sleep_control = BOOT_PORT_SLEEP_CONTROL,
                                       .sleep_status = BOOT_PORT_SLEEP_STATUS,
                                       .acpi_reset = BOOT_PORT_RESET,
                                       .reset_control = has_pci(cfg) ? 0 : RESET_CONTROL_PORT,
                                       .keyboard = KEYBOARD_PORT,
                                       .debug_exit = CONFIG_DEBUG_EXIT ? BOOT_PORT_DEBUG_EXIT : 0,
                                       .sleep_type_off = BOOT_SLEEP_TYPE_OFF,
                                       .reset_value = BOOT_RESET_VALUE,
                                       .event = on_power,
                                       .ctx = vm};
    power_init(&vm->power, &power);
    int code = make_ioapic(vm, err);
    code = code != 0 ? code : power_attach(&vm->power, &vm->bus, err);
    code = code != 0 ? code : make_serial(vm, &vm->com1, BOOT_PORT_COM1, BOOT_GSI_COM1, &cfg->console, "COM1", err);
    if (code == 0 && cfg->channel.output != NULL)
        code = make_serial(vm, &vm->com2, BOOT_PORT_COM2, BOOT_GSI_COM2, &cfg->channel, "COM2", err);
    if (code == 0 && CONFIG_RTC)
        code = make_clock(vm, &cfg->clock, err);
    if (code == 0 && CONFIG_PVPANIC)
        code = make_pvpanic(vm, cfg, err);
    if (code == 0 && CONFIG_VIRTIO)
        code = make_io(vm, cfg, err);
    bus_freeze(&vm->bus);
    return code;
}

/* ---- First registers ---- */

static struct hv_register_assoc reg64(uint32_t name, uint64_t value)
{
    return (struct hv_register_assoc){.name = name, .value.reg128 = {.low = value}};
}

static struct hv_register_assoc segment(uint32_t name, const struct boot_segment *s)
{
    return (struct hv_register_assoc){
        .name = name,
        .value.segment = {.base = s->base, .limit = s->limit, .selector = s->selector, .attributes = s->attr}};
}

static struct hv_register_assoc table(uint32_t name, const struct boot_table_register *t)
{
    return (struct hv_register_assoc){.name = name, .value.table = {.base = t->base, .limit = t->limit}};
}

static int set_first_registers(struct vcpu *v, const struct boot_cpu_state *s, struct err *err)
{
    const struct hv_register_assoc list[] = {
        segment(HV_X64_REGISTER_CS, &s->cs),
        segment(HV_X64_REGISTER_DS, &s->ds),
        segment(HV_X64_REGISTER_ES, &s->es),
        segment(HV_X64_REGISTER_FS, &s->fs),
        segment(HV_X64_REGISTER_GS, &s->gs),
        segment(HV_X64_REGISTER_SS, &s->ss),
        segment(HV_X64_REGISTER_TR, &s->tr),
        segment(HV_X64_REGISTER_LDTR, &s->ldt),
        table(HV_X64_REGISTER_GDTR, &s->gdt),
        table(HV_X64_REGISTER_IDTR, &s->idt),
        reg64(HV_X64_REGISTER_INTERMEDIATE_CR0, s->cr0),
        reg64(HV_X64_REGISTER_INTERMEDIATE_CR3, s->cr3),
        reg64(HV_X64_REGISTER_INTERMEDIATE_CR4, s->cr4),
        reg64(HV_X64_REGISTER_EFER, s->efer),
        reg64(HV_X64_REGISTER_RIP, s->rip),
        reg64(HV_X64_REGISTER_RSP, s->rsp),
        reg64(HV_X64_REGISTER_RBX, s->rbx),
        reg64(HV_X64_REGISTER_RSI, s->rsi),
        reg64(HV_X64_REGISTER_RFLAGS, s->rflags),
    };
    return mshv_vp_set_registers(&v->vp, list, sizeof(list) / sizeof(list[0]), NULL, err);
}

static int make_vps(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < cfg->vps; i++) {
        code = vcpu_init(&vm->vcpu[i], vm, i, err);
        vm->vps = i + 1;
        if (code == 0)
            code = mshv_vp_set_register(&vm->vcpu[i].vp, HV_X64_REGISTER_MSR_MTRR_DEF_TYPE, MTRR_DEF_TYPE_VALUE, err);
    }
    return code != 0 ? code : set_first_registers(&vm->vcpu[0], &cfg->image->cpu, err);
}

static int make_stop(struct vm *vm, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make an eventfd",
        .what_to_do = "raise the limit of open files (ulimit -n)",
    };
    vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return vm->stop_fd < 0 ? err_fail(err, -errno, &context) : 0;
}

static int build(struct vm *vm, const struct vm_config *cfg, const struct mshv_port *port, struct err *err)
{
    int code = make_stop(vm, err);
    code = code != 0 ? code : mshv_device_open(&vm->device, port, err);
    code = code != 0 ? code : make_partition(vm, err);
    code = code != 0 ? code : make_devices(vm, cfg, err);
    if (code == 0 && cfg->make_image != NULL)
        code = cfg->make_image(cfg->image_ctx, err);
    code = code != 0 ? code : make_memory(vm, cfg->image, cfg->hugepages, err);
    code = code != 0 ? code : load_image(vm, cfg, err);
    if (code == 0 && CONFIG_LOCK_MEMORY && cfg->lock_memory)
        code = memory_lock(&vm->memory, err);
    code = code != 0 ? code : map_memory(vm, err);
    return code != 0 ? code : make_vps(vm, cfg, err);
}

int vm_build(struct vm *vm, const struct vm_config *cfg, const struct mshv_port *port, struct err *err)
{
    static const struct err_context context = {
        .attempted = "build a virtual machine",
        .what_to_do = "give it 1 to 16 processors",
    };
    memset(vm, 0, sizeof(*vm));
    vm->stop_fd = -1;
    vm->lock_down = cfg->lock_down;
    vm->main_role = cfg->main_role;
    if (cfg->vps == 0 || cfg->vps > VM_VPS_MAX)
        return err_fail_because(err, -EINVAL, &context, "%u processors", cfg->vps);
    (void)pthread_mutex_init(&vm->lock, NULL);
    (void)pthread_mutex_init(&vm->alias_lock, NULL);
    int code = build(vm, cfg, port, err);
    if (code < 0)
        vm_fini(vm);
    return code;
}

/* Memory goes last: the partition may use it until it is gone. */
void vm_fini(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->vps; i++)
        vcpu_fini(&vm->vcpu[i]);
    mshv_partition_destroy(&vm->partition);
    mshv_device_close(&vm->device);
    if (CONFIG_VIRTIO)
        io_fini(vm->io);
    memory_fini(&vm->memory);
    serial_fini(&vm->com1);
    serial_fini(&vm->com2);
    ioapic_fini(&vm->ioapic);
    if (vm->stop_fd > 0)
        close(vm->stop_fd);
    pthread_mutex_destroy(&vm->lock);
    pthread_mutex_destroy(&vm->alias_lock);
    memset(vm, 0, sizeof(*vm));
}

int vm_start(struct vm *vm, struct err *err)
{
    int code = CONFIG_VIRTIO ? io_start(vm->io, err) : 0;
    for (uint32_t i = 0; code == 0 && i < vm->vps; i++)
        code = vcpu_start(&vm->vcpu[i], err);
    return code == 0 && CONFIG_SECCOMP ? seccomp_lock_close(vm->lock_down, vm->main_role, err) : code;
}

/* All are told before the first is waited for. Those that were never let go see that the machine stops. */
void vm_join(struct vm *vm)
{
    if (CONFIG_SECCOMP)
        seccomp_lock_open(vm->lock_down);
    for (uint32_t i = 0; i < vm->vps; i++)
        vcpu_kick(&vm->vcpu[i]);
    for (uint32_t i = 0; i < vm->vps; i++)
        vcpu_stop(&vm->vcpu[i]);
    if (CONFIG_VIRTIO)
        io_stop(vm->io);
}
