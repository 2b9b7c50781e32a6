/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

bool settings_clock_is_off(uint64_t now_ns, uint64_t host_ns)
{
    if (host_ns == 0 || host_ns > INT64_MAX) {
        return false;
    }
    uint64_t distance = now_ns > host_ns ? now_ns - host_ns : host_ns - now_ns;
    return distance > SETTINGS_CLOCK_SLACK_NS;
}

static int set_clock(uint64_t host_ns)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -errno;
    }
    uint64_t now_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    if (!settings_clock_is_off(now_ns, host_ns)) {
        return 0;
    }
    struct timespec host = {.tv_sec = (time_t)(host_ns / NS_PER_S), .tv_nsec = (long)(host_ns % NS_PER_S)};
    return clock_settime(CLOCK_REALTIME, &host) == 0 ? 0 : -errno;
}

/* struct rand_pool_info ends with an array without a length. */
struct seed {
    int entropy_bits, bytes;
    uint8_t data[SESSION_SEED_MAX];
};

static int add_seed(const uint8_t *data, size_t bytes)
{
    struct seed seed = {.entropy_bits = (int)bytes * 8, .bytes = (int)bytes};
    int fd, result;
    if (bytes == 0) {
        return 0;
    }
    memcpy(seed.data, data, bytes);
    fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    result = ioctl(fd, RNDADDENTROPY, &seed) == 0 ? 0 : -errno;
    close(fd);
    return result;
}

static unsigned tell(struct report *r, int result, const char *what)
{
    if (result < 0) {
        report_warning(r, "cannot set %s: %s; it stays as the kernel has it", what, strerror(-result));
    }
    return result < 0;
}

unsigned settings_apply(const struct session_command *command, struct report *r)
{
    unsigned failures = 0;
    int named = 0;
    if (command->hostname[0] != '\0') {
        named = sethostname(command->hostname, strlen(command->hostname)) == 0 ? 0 : -errno;
    }
    failures += tell(r, named, "the host name");
    failures += tell(r, set_clock(command->realtime_ns), "the clock");
    failures += tell(r, add_seed(command->seed, command->seed_bytes), "the seed of random numbers");
    return failures;
}
