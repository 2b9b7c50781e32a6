/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/run_options.h"

#include <string.h>

#include "vmm/io_options.h"
#include "vmm/vm.h"

#define DEFAULT_MEMORY_BYTES (UINT64_C(256) << 20)
#define DEFAULT_READY_S      60u
#define READY_S_MAX          86400u

const char run_options_usage[] = "--kernel FILE [OPTION...] -- COMMAND [ARGUMENT...]";

/* One string with newlines: cli.c prints it as it stands. */
const char run_options_help[] =
    "Boots a Linux kernel in a virtual machine, runs COMMAND in it with this terminal's input and output, and ends "
    "with\n"
    "its exit code. The guest's first process is caisson's own; nothing has to be prepared in an image.\n"
    "\n"
    "  --kernel FILE        bzImage or vmlinux\n"
    "  --protocol NAME      how to enter it: auto (default), pvh, linux64\n"
    "  --initrd FILE        cpio archive, plain or packed, that becomes the guest's root; may be given several times\n"
    "  --rootfs-cpio FILE   the same: a root file system as cpio archive\n"
    "  --modules DIR        lib/modules/RELEASE of a kernel package: the modules the guest needs are taken from it\n"
    "  --cpus N             virtual processors, 1 to 16 (default 1)\n"
    "  --memory SIZE        such as 256M (default) or 2G; plain numbers are MiB\n"
    "  --lock-memory        never let the host swap the guest's memory out\n"
    "  --append ARGUMENTS   more words for the kernel's command line, after the default ones\n"
    "  --no-default-args    none but those of --append\n"
    "  --disk PATH[,ro][,serial=TEXT][,verity=HASH][,queues=N]\n"
    "                       a raw file or block device as the next virtio disk; may be given eight times\n"
    "  --share TAG=DIR[,ro][,cache=none|auto|always][,queues=N]\n"
    "                       a folder of the host: 'mount -t virtiofs TAG /mnt' in the guest; four times\n"
    "  --vsock PATH[,cid=N][,mode=OCTAL][,uid=N][,gid=N]\n"
    "                       sockets between guest and host; PATH and PATH_<port> are the host's side\n"
    "  --net tap=NAME|fd=N[:N...]|stream=PATH[,mac=ADDRESS][,mtu=N][,queues=N]\n"
    "                       a network device on a TAP or on a user-mode network stack (passt); four times\n"
    "  --rng                random numbers of the host\n"
    "  --balloon SIZE       memory that the guest is to give back; 0: only what it does not use\n"
    "  --virtio-console     a second console, hvc0, faster than the serial port\n"
    "  --packed-rings       let drivers choose packed rings\n"
    "                       A comma in a path is written twice\n"
    "  --console FILE       where the kernel's console goes; - is standard error. Without this option its last 64 KiB\n"
    "                       are kept and shown if the guest fails\n"
    "  --tty, --no-tty      run COMMAND on a terminal of its own, or on pipes (default: a terminal if input and "
    "output\n"
    "                       are one)\n"
    "  --env NAME=VALUE     set a variable for COMMAND; may be given several times\n"
    "  --cwd DIR            folder in the guest to run COMMAND in\n"
    "  --hostname NAME      the guest's\n"
    "  --ready-timeout S    seconds the guest has to get ready (default 60; 0: no limit)\n"
    "  --timings            show how long each phase took, on standard error\n"
    "  --user UID[:GID]     become this user when all files are open (as root; what is shared then is shared as this "
    "user)\n"
    "  --require-jail       end if the host does not allow one of the steps that lock the monitor in; otherwise each "
    "is\n"
    "                       reported and left out\n"
    "  --no-jail            do not lock the monitor in: no namespaces, its rights and the host's files stay "
    "(docs/jail.md)\n"
    "  --no-seccomp         do not hold the monitor's threads to the system calls that they need\n"
    "  --hv NAME            hypervisor: auto (default; /dev/mshv if it opens, else softhv), kernel, soft\n"
    "  --softhv-kernel V    kernel whose driver softhv plays: 6.15, 6.15-stable, 6.19, 7.2 (default)\n"
    "  --trace FILE         write one line for each request to softhv\n"
    "\n"
    "exit codes: that of COMMAND, 128 + n if signal n ended it, 127 if it was not found, 126 if it could not be run;\n"
    "  and when caisson itself says why on standard error:\n"
    "    2    command line not understood, or COMMAND with its variables too long\n"
    "    109  the monitor asked the host for what it never needs, or lost one of its threads, and was ended\n"
    "         (docs/seccomp.md)\n"
    "    110  a file cannot be read or is not what it should be, or the machine is too small for it\n"
    "    111  the host or the hypervisor failed\n"
    "    112  the guest did not get ready in time\n"
    "    113  the guest's kernel panicked\n"
    "    114  the guest reset itself\n"
    "    115  the guest switched off before COMMAND had ended\n"
    "    116  a virtual processor shut down (triple fault)\n"
    "    117  the guest did something that cannot be served\n"
    "    118  the guest's first process gave up, or broke the protocol\n"
    "    119  ended by a signal: before COMMAND ran, or before its output could be written\n"
    "Signals (INT, TERM, HUP, QUIT, USR1, USR2, CONT) are passed on to COMMAND once it runs; the third TERM ends the "
    "run\n"
    "whether COMMAND has ended or not.\n";

/* ---- Values ---- */

static bool parse_number(const char *text, const char **end, uint64_t *value)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        if (!checked_mul_u64(v, 10, &v) || !checked_add_u64(v, (uint64_t)(*p - '0'), &v))
            return false;
    *end = p;
    *value = v;
    return p != text;
}

bool run_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    const char *end;
    uint64_t value;
    unsigned shift = 20;
    if (!parse_number(text, &end, &value))
        return false;
    if (*end != '\0') {
        const char *unit = strchr(units, *end);
        if (unit == NULL || end[1] != '\0')
            return false;
        shift = 10 * (unsigned)(unit - units + 1);
    }
    return checked_mul_u64(value, UINT64_C(1) << shift, bytes);
}

static bool parse_range(const char *text, uint64_t min, uint64_t max, uint32_t *out)
{
    const char *end;
    uint64_t value;
    if (!parse_number(text, &end, &value) || *end != '\0' || value < min || value > max)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* Index of a word in a list that ends with NULL, or -1. */
static int word_in(const char *const *words, const char *text)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return -1;
}

/* ---- Options: each takes its value and says whether it is one ---- */

typedef bool setter(struct run_options *o, char *value);

static bool set_kernel(struct run_options *o, char *value)
{
    o->kernel = value;
    return *value != '\0';
}

static bool set_protocol(struct run_options *o, char *value)
{
    static const char *const names[] = {"auto", "pvh", "linux64", NULL};
    static const enum boot_protocol values[] = {BOOT_PROTOCOL_AUTO, BOOT_PROTOCOL_PVH, BOOT_PROTOCOL_LINUX64};
    int i = word_in(names, value);
    if (i >= 0)
        o->protocol = values[i];
    return i >= 0;
}

static bool add_initrd(struct run_options *o, char *value)
{
    if (o->initrd_count == RUN_INITRDS_MAX || *value == '\0')
        return false;
    o->initrds[o->initrd_count++] = value;
    return true;
}

static bool set_modules(struct run_options *o, char *value)
{
    o->modules = value;
    return *value != '\0';
}

static bool set_cpus(struct run_options *o, char *value)
{
    return parse_range(value, 1, VM_VPS_MAX, &o->vps);
}

static bool set_memory(struct run_options *o, char *value)
{
    return run_parse_size(value, &o->memory_bytes);
}

/* Each with its own option of the build: what is off is refused in words of its own. */
static bool add_disk(struct run_options *o, char *value)
{
    return CONFIG_VIRTIO_BLK && io_parse_disk(&o->io, value);
}

static bool add_share(struct run_options *o, char *value)
{
    return CONFIG_VIRTIO_FS && io_parse_share(&o->io, value);
}

static bool set_vsock(struct run_options *o, char *value)
{
    return CONFIG_VIRTIO_VSOCK && io_parse_vsock(&o->io, value);
}

static bool add_net(struct run_options *o, char *value)
{
    return CONFIG_VIRTIO_NET && io_parse_net(&o->io, value);
}

static bool set_balloon(struct run_options *o, char *value)
{
    o->io.balloon = true;
    return CONFIG_VIRTIO_BALLOON && run_parse_size(value, &o->io.balloon_bytes);
}

static bool set_append(struct run_options *o, char *value)
{
    o->append = value;
    return true;
}

static bool set_console(struct run_options *o, char *value)
{
    o->console = value;
    return *value != '\0';
}

static bool add_env(struct run_options *o, char *value)
{
    unsigned n = 0;
    const char *equals = strchr(value, '=');
    while (o->env[n] != NULL)
        n++;
    if (n == RUN_ENV_MAX || equals == NULL || equals == value)
        return false;
    o->env[n] = value;
    return true;
}

static bool set_cwd(struct run_options *o, char *value)
{
    o->cwd = value;
    return *value == '/';
}

static bool set_hostname(struct run_options *o, char *value)
{
    o->hostname = value;
    return *value != '\0' && strlen(value) <= 64;
}

static bool set_ready(struct run_options *o, char *value)
{
    return parse_range(value, 0, READY_S_MAX, &o->ready_seconds);
}

static bool set_hv(struct run_options *o, char *value)
{
    static const char *const names[] = {"auto", "kernel", "soft", NULL};
    static const enum hv_choice values[] = {HV_AUTO, HV_KERNEL, HV_SOFT};
    int i = word_in(names, value);
    if (i >= 0)
        o->hv.choice = values[i];
    return i >= 0;
}

static bool set_softhv_kernel(struct run_options *o, char *value)
{
    o->hv.kernel = value;
    return *value != '\0';
}

static bool set_trace(struct run_options *o, char *value)
{
    o->hv.trace_path = value;
    return *value != '\0';
}

static bool parse_id(const char *text, const char **end, uint32_t *id)
{
    uint64_t value;
    if (!parse_number(text, end, &value) || value >= UINT32_MAX)
        return false;
    *id = (uint32_t)value;
    return true;
}

static bool set_user(struct run_options *o, char *value)
{
    const char *end;
    uint32_t uid, gid;
    if (!parse_id(value, &end, &uid))
        return false;
    gid = uid;
    if (*end == ':' && !parse_id(end + 1, &end, &gid))
        return false;
    o->confine.drops_ids = true;
    o->confine.uid = uid;
    o->confine.gid = gid;
    return *end == '\0';
}

static const struct valued {
    const char *name;
    setter *set;
    const char *complaint;
} valued[] = {
    {"--kernel", set_kernel, "--kernel needs a file, not"},
    {"--protocol", set_protocol, "--protocol is auto, pvh or linux64, not"},
    {"--initrd", add_initrd, "--initrd needs a file, and there may be eight; refused"},
    {"--rootfs-cpio", add_initrd, "--rootfs-cpio needs a file, and there may be eight; refused"},
    {"--modules", set_modules, "--modules needs a folder, not"},
    {"--cpus", set_cpus, "--cpus is a number from 1 to 16, not"},
    {"--memory", set_memory, "--memory is a size such as 512M or 2G, not"},
    {"--disk", add_disk,
     CONFIG_VIRTIO_BLK ? "--disk is PATH[,ro][,serial=TEXT][,verity=HASH][,queues=N], and there may be eight; refused"
                       : "this build has no disks (CONFIG_VIRTIO_BLK); refused"},
    {"--share", add_share,
     CONFIG_VIRTIO_FS ? "--share is TAG=DIR[,ro][,cache=none|auto|always][,queues=N], and there may be four; refused"
                      : "this build has no shared folders (CONFIG_VIRTIO_FS); refused"},
    {"--vsock", set_vsock,
     CONFIG_VIRTIO_VSOCK ? "--vsock is PATH[,cid=N][,mode=OCTAL][,uid=N][,gid=N], once; refused"
                         : "this build has no sockets (CONFIG_VIRTIO_VSOCK); refused"},
    {"--net", add_net,
     CONFIG_VIRTIO_NET
         ? "--net is tap=NAME, fd=N[:N...] or stream=PATH, [,mac=ADDRESS][,mtu=N][,queues=N], and there may be four; "
           "refused"
         : "this build has no network (CONFIG_VIRTIO_NET); refused"},
    {"--balloon", set_balloon,
     CONFIG_VIRTIO_BALLOON ? "--balloon is a size such as 64M, not"
                           : "this build has no balloon (CONFIG_VIRTIO_BALLOON); refused"},
    {"--append", set_append, ""},
    {"--console", set_console, "--console needs a file or -, not"},
    {"--env", add_env, "--env is NAME=VALUE, and there may be 256; refused"},
    {"--cwd", set_cwd, "--cwd is an absolute path in the guest, not"},
    {"--hostname", set_hostname, "--hostname is a name of at most 64 characters, not"},
    {"--ready-timeout", set_ready, "--ready-timeout is a number of seconds up to 86400, not"},
    {"--user", set_user, "--user is UID or UID:GID, in numbers, not"},
    {"--hv", set_hv, "--hv is auto, kernel or soft, not"},
    {"--softhv-kernel", set_softhv_kernel, "--softhv-kernel needs a version, not"},
    {"--trace", set_trace, "--trace needs a file, not"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct valued *find_valued(const char *word, size_t length)
{
    for (size_t i = 0; i < COUNT(valued); i++)
        if (strlen(valued[i].name) == length && memcmp(valued[i].name, word, length) == 0)
            return &valued[i];
    return NULL;
}

static bool set_flag(struct run_options *o, const char *word)
{
    if (strcmp(word, "--no-default-args") == 0)
        o->no_default_args = true;
    else if (strcmp(word, "--tty") == 0)
        o->tty = RUN_TTY_YES;
    else if (strcmp(word, "--no-tty") == 0)
        o->tty = RUN_TTY_NO;
    else if (strcmp(word, "--timings") == 0)
        o->timings = true;
    else if (strcmp(word, "--no-seccomp") == 0)
        o->no_seccomp = true;
    else if (CONFIG_LOCK_MEMORY && strcmp(word, "--lock-memory") == 0)
        o->lock_memory = true;
    else if (strcmp(word, "--no-jail") == 0)
        o->confine.off = true;
    else if (strcmp(word, "--require-jail") == 0)
        o->confine.require = true;
    else if (CONFIG_VIRTIO_RNG && strcmp(word, "--rng") == 0)
        o->io.rng = true;
    else if (CONFIG_VIRTIO_CONSOLE && strcmp(word, "--virtio-console") == 0)
        o->io.console = true;
    else if (CONFIG_VIRTIO_PACKED && strcmp(word, "--packed-rings") == 0)
        o->io.packed = true;
    else
        return false;
    return true;
}

/* "--name value" or "--name=value". Returns how many words it took, 0 after having complained. */
static int parse_option(const struct cli_io *io, int left, char **argv, struct run_options *o)
{
    char *equals = strchr(argv[0], '=');
    size_t length = equals != NULL ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    const struct valued *v = find_valued(argv[0], length);
    if (v == NULL && equals == NULL && set_flag(o, argv[0]))
        return 1;
    if (v == NULL || (equals == NULL && left < 2)) {
        (void)cli_refuse(io, "run", v == NULL ? "unknown option" : "no value behind", argv[0]);
        return 0;
    }
    char *value = equals != NULL ? equals + 1 : argv[1];
    if (v->set(o, value))
        return equals != NULL ? 1 : 2;
    (void)cli_refuse(io, "run", v->complaint, value);
    return 0;
}

int run_options_parse(const struct cli_io *io, int argc, char **argv, struct run_options *out)
{
    *out = (struct run_options){.vps = 1,
                                .memory_bytes = DEFAULT_MEMORY_BYTES,
                                .ready_seconds = DEFAULT_READY_S,
                                .protocol = BOOT_PROTOCOL_AUTO,
                                .hv = {.choice = HV_AUTO}};
    int i = 1;
    while (i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0) {
        int taken = parse_option(io, argc - i, argv + i, out);
        if (taken == 0)
            return CLI_EXIT_USAGE;
        i += taken;
    }
    if (i < argc && strcmp(argv[i], "--") == 0)
        i++;
    out->command = argv + i;
    out->command_count = argc - i;
    if (out->kernel == NULL)
        return cli_refuse(io, "run", "no kernel given; needed is", "--kernel FILE");
    if (out->hv.choice == HV_KERNEL && (out->hv.trace_path != NULL || out->hv.kernel != NULL))
        return cli_refuse(io, "run", "--trace and --softhv-kernel are for softhv, and you gave", "--hv kernel");
    if (out->confine.off && (out->confine.require || out->confine.drops_ids))
        return cli_refuse(io, "run", "--require-jail and --user are parts of the jail, and you gave", "--no-jail");
    if (!CONFIG_JAIL && (out->confine.require || out->confine.drops_ids))
        return cli_refuse(io, "run", "this build has no jail (CONFIG_JAIL); refused",
                          out->confine.require ? "--require-jail" : "--user");
    if (out->command_count > UINT16_MAX)
        return cli_refuse(io, "run", "more than 65535 words of command behind", "--");
    if (out->command_count == 0)
        return cli_refuse(io, "run", "no command given; needed is", "-- COMMAND");
    return CLI_EXIT_OK;
}
