/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Devices as people write them on a command line: a main value, then words and name=value pairs behind commas.
 *
 *     --disk  PATH[,ro][,serial=TEXT][,verity=HASH][,queues=N]
 *     --share TAG=DIR[,ro][,cache=none|auto|always][,queues=N]
 *     --vsock PATH[,cid=N][,mode=OCTAL][,uid=N][,gid=N]
 *     --net   tap=NAME|fd=N[:N...]|stream=PATH[,mac=XX:XX:XX:XX:XX:XX][,mtu=N][,queues=N]
 *
 * A comma inside a value is written twice. Each function takes its text apart in place and keeps pointers into it.
 * True, or false with *config as it was: not understood, beyond a limit, or more than there is room for. Pure.
 */
#ifndef CAISSON_VMM_IO_OPTIONS_H
#define CAISSON_VMM_IO_OPTIONS_H

#include <stdbool.h>

#include "vmm/io.h"

bool io_parse_disk(struct io_config *config, char *text);
bool io_parse_share(struct io_config *config, char *text);
bool io_parse_vsock(struct io_config *config, char *text);
bool io_parse_net(struct io_config *config, char *text);

#endif
