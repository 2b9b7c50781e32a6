/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: network settings that the agent's client asks for, in a network namespace of this process's own, which
 * has a loopback and nothing else. Without the right to such a namespace nothing is done.
 *
 * Input: a byte that says what follows as protobuf (modulo 3): an Interface, Routes, ARPNeighbors. Checked: each
 * request ends with printable words or with a state that can be listed; texts that are listed are strings.
 */
#include <errno.h>
#include <pb_decode.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb.h"
#include "common/ttrpc.h"
#include "guest-init/agent/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether this process has left the host's network. A variable of the environment, as there are no others. */
#define INSIDE "AGENT_NET_FUZZ_INSIDE"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool be_inside(void)
{
    const char *inside = getenv(INSIDE);
    if (inside == NULL) {
        bool left = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
        inside = left ? "1" : "0";
        require(setenv(INSIDE, inside, 1) == 0);
    }
    return strcmp(inside, "1") == 0;
}

static void judge(int code, const struct err *err)
{
    require(code <= 0 && (code == 0 || (err->code == code && err->text[0] != '\0')));
    for (const char *c = err->text; code < 0 && *c != '\0'; c++)
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void list(void)
{
    grpc_Interfaces links;
    grpc_Routes routes;
    struct err err = {.code = 0};
    int code = agent_net_list_interfaces(&links, &err);
    judge(code, &err);
    require(code == 0 && links.Interfaces_count == 1 && links.Interfaces[0].device != NULL);
    pb_release(grpc_Interfaces_fields, &links);
    code = agent_net_list_routes(&routes, &err);
    judge(code, &err);
    require(code == 0);
    pb_release(grpc_Routes_fields, &routes);
}

static void set_interface(const uint8_t *data, size_t size)
{
    types_Interface in, out;
    struct err err = {.code = 0};
    if (ttrpc_unpack(types_Interface_fields, &in, data, size) < 0)
        return;
    int code = agent_net_update_interface(&in, &out, &err);
    judge(code, &err);
    if (code == 0)
        pb_release(types_Interface_fields, &out);
    pb_release(types_Interface_fields, &in);
}

static void set_routes(const uint8_t *data, size_t size)
{
    grpc_Routes in, out;
    struct err err = {.code = 0};
    if (ttrpc_unpack(grpc_Routes_fields, &in, data, size) < 0)
        return;
    int code = agent_net_update_routes(&in, &out, &err);
    judge(code, &err);
    if (code == 0)
        pb_release(grpc_Routes_fields, &out);
    pb_release(grpc_Routes_fields, &in);
}

static void add_neighbours(const uint8_t *data, size_t size)
{
    grpc_ARPNeighbors in;
    struct err err = {.code = 0};
    if (ttrpc_unpack(grpc_ARPNeighbors_fields, &in, data, size) < 0)
        return;
    judge(agent_net_add_neighbours(&in, &err), &err);
    pb_release(grpc_ARPNeighbors_fields, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || !be_inside())
        return 0;
    switch (data[0] % 3) {
    case 0: set_interface(data + 1, size - 1); break;
    case 1: set_routes(data + 1, size - 1); break;
    default: add_neighbours(data + 1, size - 1); break;
    }
    list();
    return 0;
}
