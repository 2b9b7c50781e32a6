/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/net.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int interface_up(const char *name)
{
    struct ifreq request = {.ifr_flags = 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = 0;
    if (fd < 0) {
        return -errno;
    }
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    if (ioctl(fd, SIOCGIFFLAGS, &request) != 0) {
        result = -errno;
    } else {
        request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
        result = ioctl(fd, SIOCSIFFLAGS, &request) == 0 ? 0 : -errno;
    }
    close(fd);
    return result;
}

int net_loopback_up(struct report *r)
{
    int result = interface_up("lo");
    if (result < 0) {
        report_warning(r, "cannot switch on the loopback interface lo: %s; 127.0.0.1 will not answer",
                       strerror(-result));
    }
    return result;
}
