/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * First process of the guests that scripts/bench boot measures: says that it runs, and resets the machine. Nothing but
 * system calls, so that both monitors execute the same few instructions.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

int main(void)
{
    static const char text[] = "READY\n";
    (void)mount("devtmpfs", "/dev", "devtmpfs", 0, "");
    int fd = open("/dev/console", O_WRONLY);
    (void)!write(fd >= 0 ? fd : STDOUT_FILENO, text, sizeof(text) - 1);
    (void)reboot(RB_AUTOBOOT);
    for (;;)
        pause();
}
