/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Partitions of four VPs, started, kicked at random moments and closed in random order, over and over: none hangs, no
 * kick is lost, nothing is left behind. Random means a fixed seed; which thread is faster is up to the host.
 *
 * A VP that hangs is ended by alarm() with a message; in a run that passes it never rings.
 */
#include "vmm/softhv/port_soft.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/mshv/abi.h"

#define ROUNDS    1000u
#define WARM_UP   20u /* what libraries and the allocator keep is there afterwards */
#define VPS       4u
#define SEED      UINT64_C(0x6d73687673747273)
#define PATIENCE  600u /* seconds, for all rounds: many times what they need */
#define KICK      SIGUSR1
#define RAM_BYTES 0x10000u
#define APIC_BASE 0xfee00000u
#define NUMBERS   (2u + 2u * VPS) /* descriptors of a round: device, partition, VPs and a dup of each */

/* ---- Guests: real mode, DS on the local APIC's page, one program for each VP, its handler for vector 40h ---- */

#define CODE(vp)  (0x1000u + (vp)*0x100u)
#define HANDLER   0x2000u
#define STACK(vp) (0x4000u + (vp)*0x100u)
#define VECTOR    0x40u

static const uint8_t handler[] = {0x66, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, 0xcf}; /* mov dword [b0h], 0; iret */
/* spin, and a port access now and then: inc ax; jnz back; out 80h, al; jmp back */
static const uint8_t spinner[] = {0x40, 0x75, 0xfd, 0xe6, 0x80, 0xeb, 0xf9};
/* periodic timer: divide by 1; count 8000h; vector 40h; sti; hlt; again */
static const uint8_t sleeper[] = {0x66, 0xc7, 0x06, 0xe0, 0x03, 0x0b, 0,    0,    0,    0x66, 0xc7,
                                  0x06, 0x20, 0x03, 0x40, 0x00, 0x02, 0,    0x66, 0xc7, 0x06, 0x80,
                                  3,    0,    0x80, 0,    0,    0xfb, 0xf4, 0xeb, 0xfc};
/* vector 40h to all others; 100h times round; out 81h, al; again */
static const uint8_t sender[] = {0x66, 0xc7, 0x06, 0x00, 0x03, 0x40, 0x40, 0x0c, 0x00,
                                 0xb9, 0x00, 0x01, 0xe2, 0xfe, 0xe6, 0x81, 0xeb, 0xee};
/* sti; hlt; out 82h, al; again */
static const uint8_t receiver[] = {0xfb, 0xf4, 0xe6, 0x82, 0xeb, 0xfa};

struct code {
    const uint8_t *bytes;
    size_t count;
};
static const struct code programs[VPS] = {
    {spinner, sizeof(spinner)}, {sleeper, sizeof(sleeper)}, {sender, sizeof(sender)}, {receiver, sizeof(receiver)}};

/* ---- Random numbers: xorshift; each thread has its own ---- */

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Time passes, from none to some tens of microseconds. */
static void dawdle(uint64_t *s)
{
    uint64_t how = next_random(s) % 8;
    if (how == 0)
        sched_yield();
    for (uint64_t i = how << next_random(s) % 12; i > 0; i--)
        atomic_signal_fence(memory_order_seq_cst);
}

/* ---- A round ---- */

struct world;

struct runner {
    struct world *w;
    pthread_t thread;
    uint64_t random;
    uint32_t index;
    int vp;
    atomic_uint sent;    /* kicks by the main thread */
    unsigned own;        /* kicks by itself, just before running */
    unsigned interrupts; /* EINTR */
    unsigned exits;
    int error; /* looked at by the main thread */
};

struct world {
    struct mshv_port port;
    uint64_t random;
    uint8_t *ram;
    int device, partition;
    atomic_bool stop;
    struct runner runner[VPS];
    uint64_t exits; /* of all rounds */
};

static int request(struct world *w, int fd, uint32_t number, void *arg)
{
    return mshv_port_ioctl(&w->port, fd, number, arg);
}

struct set {
    struct hv_input_vp_registers head;
    struct hv_register_assoc reg[6];
};

static int set_registers(struct world *w, int vp, struct set *in, uint16_t reps)
{
    struct mshv_root_hvcall a = {.code = HVCALL_SET_VP_REGISTERS,
                                 .reps = reps,
                                 .in_sz = (uint16_t)(sizeof(in->head) + reps * sizeof(in->reg[0])),
                                 .in_ptr = (uintptr_t)in};
    return request(w, vp, MSHV_ROOT_HVCALL, &a);
}

/* Real mode at its program. One VP in eight that is not the first stays where it is: waiting for a SIPI. */
static void make_vp(struct world *w, struct runner *r)
{
    struct mshv_create_vp a = {.vp_index = r->index};
    struct set in = {.head = {.vp_index = r->index}};
    in.reg[0] =
        (struct hv_register_assoc){.name = HV_X64_REGISTER_CS, .value.segment = {.limit = 0xffff, .attributes = 0x9b}};
    in.reg[1] = (struct hv_register_assoc){.name = HV_X64_REGISTER_DS,
                                           .value.segment = {.base = APIC_BASE, .limit = 0xffff, .attributes = 0x93}};
    in.reg[2] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RIP, .value.reg64 = CODE(r->index)};
    in.reg[3] = (struct hv_register_assoc){.name = HV_X64_REGISTER_APIC_SPURIOUS, .value.reg64 = 0x1ff};
    in.reg[4] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RSP, .value.reg64 = STACK(r->index)};
    in.reg[5] = (struct hv_register_assoc){.name = HV_REGISTER_INTERNAL_ACTIVITY_STATE, .value.reg64 = 0};
    r->vp = request(w, w->partition, MSHV_CREATE_VP, &a);
    assert_true(r->vp >= 0);
    bool waits = r->index != 0 && next_random(&w->random) % 8 == 0;
    assert_int_equal(set_registers(w, r->vp, &in, waits ? 5 : 6), 0);
}

static void make_partition(struct world *w)
{
    struct mshv_create_partition a = {.pt_flags = 3};
    struct mshv_user_mem_region m = {.size = RAM_BYTES, .userspace_addr = (uintptr_t)w->ram, .flags = 3};
    w->device = mshv_port_open(&w->port);
    assert_true(w->device >= 0);
    w->partition = request(w, w->device, MSHV_CREATE_PARTITION, &a);
    assert_true(w->partition >= 0);
    assert_int_equal(request(w, w->partition, MSHV_INITIALIZE_PARTITION, NULL), 0);
    assert_int_equal(request(w, w->partition, MSHV_SET_GUEST_MEMORY, &m), 0);
}

/* All messages here are port accesses of two bytes. */
static int serve(struct runner *r, const struct mshv_run_vp *run)
{
    const struct hv_message *m = (const void *)run->msg_buf;
    const struct hv_x64_io_port_intercept_message *io = (const void *)m->payload;
    struct set in = {.head = {.vp_index = r->index}};
    if (m->header.message_type != HVMSG_X64_IO_PORT_INTERCEPT ||
        io->port_number != (r->index == 0 ? 0x80 : 0x7f + r->index))
        return -EPROTO;
    r->exits++;
    in.reg[0] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RIP, .value.reg64 = io->header.rip + 2};
    return set_registers(r->w, r->vp, &in, 1);
}

/* One time in sixteen it kicks itself at the worst moment: after its look at `stop` and before the run. */
static void *runner_main(void *arg)
{
    struct runner *r = arg;
    struct mshv_run_vp run __attribute__((aligned(16)));
    while (!atomic_load(&r->w->stop) && r->error == 0) {
        if (next_random(&r->random) % 16 == 0) {
            r->own++;
            (void)pthread_kill(pthread_self(), KICK);
        }
        int result = request(r->w, r->vp, MSHV_RUN_VP, &run);
        if (result == -EINTR)
            r->interrupts++;
        else
            r->error = result == 0 ? serve(r, &run) : result;
    }
    return NULL;
}

static void kick(struct runner *r)
{
    atomic_fetch_add(&r->sent, 1);
    (void)pthread_kill(r->thread, KICK);
}

static void start(struct world *w)
{
    atomic_store(&w->stop, false);
    for (uint32_t i = 0; i < VPS; i++) {
        struct runner *r = &w->runner[i];
        *r = (struct runner){.w = w, .index = i, .random = next_random(&w->random) | 1};
        make_vp(w, r);
    }
    for (uint32_t i = 0; i < VPS; i++)
        assert_int_equal(pthread_create(&w->runner[i].thread, NULL, runner_main, &w->runner[i]), 0);
}

static void kick_around(struct world *w)
{
    for (uint64_t n = next_random(&w->random) % 32; n > 0; n--) {
        dawdle(&w->random);
        kick(&w->runner[next_random(&w->random) % VPS]);
    }
    dawdle(&w->random);
}

/* One kick each is enough: whoever had looked at `stop` before finds it when it runs. */
static void stop(struct world *w)
{
    atomic_store(&w->stop, true);
    for (uint32_t i = 0; i < VPS; i++)
        kick(&w->runner[i]);
    for (uint32_t i = 0; i < VPS; i++) {
        struct runner *r = &w->runner[i];
        assert_int_equal(pthread_join(r->thread, NULL), 0);
        assert_int_equal(r->error, 0);
        /* One more: a thread's first run. */
        assert_in_range(r->interrupts, 0, atomic_load(&r->sent) + r->own + 1);
        w->exits += r->exits;
    }
}

static void shuffle(struct world *w, int *numbers, size_t count)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = (size_t)(next_random(&w->random) % (i + 1));
        int n = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = n;
    }
}

static void unmap_page(struct world *w, void *page)
{
    if (page != NULL)
        assert_int_equal(mshv_port_munmap(&w->port, page, MSHV_HV_PAGE_SIZE), 0);
}

/* With a second number and a mapping of each VP's register page, before or after which the numbers go. */
static void close_all(struct world *w)
{
    int numbers[NUMBERS];
    size_t n = 0;
    void *page[VPS] = {NULL};
    if (w->device >= 0)
        numbers[n++] = w->device;
    if (w->partition >= 0)
        numbers[n++] = w->partition;
    for (uint32_t i = 0; i < VPS; i++) {
        int vp = w->runner[i].vp;
        assert_int_equal(mshv_port_mmap(&w->port, vp, MSHV_HV_PAGE_SIZE, 0, &page[i]), 0);
        numbers[n++] = vp;
        numbers[n++] = dup(vp);
    }
    shuffle(w, numbers, n);
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0 && i / 2 < VPS)
            unmap_page(w, page[i / 2]);
        assert_int_equal(mshv_port_close(&w->port, numbers[i]), 0);
    }
    for (size_t i = (n + 1) / 2; i < VPS; i++)
        unmap_page(w, page[i]);
}

/* One time in four the device's and the partition's numbers go while the VPs run, which the VPs do not notice. */
static void drop_early(struct world *w)
{
    if (next_random(&w->random) % 4 != 0)
        return;
    assert_int_equal(mshv_port_close(&w->port, w->partition), 0);
    assert_int_equal(mshv_port_close(&w->port, w->device), 0);
    w->partition = w->device = -1;
}

static void play(struct world *w, unsigned rounds)
{
    const struct softhv_config cfg = {.kernel = SOFTHV_KERNEL_7_2, .kicks = UINT64_C(1) << (KICK - 1)};
    struct softhv_instance *s = NULL;
    assert_int_equal(softhv_instance_new(&cfg, &s), 0);
    w->port = mshv_port_soft(s);
    for (unsigned i = 0; i < rounds; i++) {
        make_partition(w);
        start(w);
        kick_around(w);
        drop_early(w);
        stop(w);
        close_all(w);
    }
    softhv_instance_free(s);
}

/* ---- What is left ---- */

struct traces {
    unsigned descriptors, threads;
    size_t bytes;
};

static unsigned entries(const char *folder)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

#if defined(__SANITIZE_ADDRESS__)
/* The heap, exactly. The function is the sanitizer's; not every compiler brings its header. */
#define SLACK 0u
size_t __sanitizer_get_current_allocated_bytes(void);
static size_t used(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
/* musl does not count; mappings, of which each VP has some: what grew by one in a round would be a thousand. */
#define SLACK 16u
static size_t used(void)
{
    size_t lines = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    for (int c = 0; c != EOF; c = fgetc(f))
        lines += c == '\n';
    fclose(f);
    return lines;
}
#endif

static struct traces look(void)
{
    return (struct traces){
        .descriptors = entries("/proc/self/fd"), .threads = entries("/proc/self/task"), .bytes = used()};
}

/* A thread that has been joined may still be listed for a moment. */
static struct traces look_later(const struct traces *before)
{
    struct traces now = look();
    for (unsigned i = 0; i < 10000 && now.threads > before->threads; i++) {
        sched_yield();
        now = look();
    }
    return now;
}

/* ---- The case ---- */

static void on_kick(int signal)
{
    (void)signal;
}

static void on_alarm(int signal)
{
    static const char text[] = "stress_test: a VP, or the end of a partition, hangs\n[  FAILED  ] 1 test(s)\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

static void prepare(struct world *w)
{
    struct sigaction a = {.sa_handler = on_kick};
    assert_int_equal(sigaction(KICK, &a, NULL), 0);
    a.sa_handler = on_alarm;
    assert_int_equal(sigaction(SIGALRM, &a, NULL), 0);
    *w = (struct world){.random = SEED};
    w->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(w->ram != MAP_FAILED);
    for (uint32_t i = 0; i < VPS; i++)
        memcpy(w->ram + CODE(i), programs[i].bytes, programs[i].count);
    memcpy(w->ram + HANDLER, handler, sizeof(handler));
    w->ram[VECTOR * 4 + 1] = HANDLER >> 8;
}

static void a_thousand_lives_leave_nothing(void **state)
{
    struct world w;
    (void)state;
    prepare(&w);
    alarm(PATIENCE);
    play(&w, WARM_UP);
    const struct traces before = look();
    w.exits = 0;
    play(&w, ROUNDS);
    const struct traces after = look_later(&before);
    alarm(0);
    print_message("%u rounds, seed %llx: %llu exits\n", ROUNDS, (unsigned long long)SEED, (unsigned long long)w.exits);
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.threads, before.threads);
    assert_in_range(after.bytes, 0, before.bytes + SLACK);
    assert_true(w.exits > ROUNDS);
    munmap(w.ram, RAM_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_thousand_lives_leave_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
