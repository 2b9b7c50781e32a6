/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the agent, with two clients and containers that are none (tests/lib/agent_rig.h).
 *
 * Input: a script. Each step is one byte that says what happens, one byte with a length and as many bytes: a request
 * for one of the methods with these bytes as its message, bytes as they are on either connection, a container or a
 * further process that makes progress, writes, reads or ends, time that goes by, a client that comes back. Checked: the
 * agent goes on, its counts are those of its lists, and at the end nothing is left.
 */
#include <pb_encode.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/agent_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 200

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void give_bytes(struct agent_rig *r, struct rig_client *c, const uint8_t *bytes, size_t n)
{
    if (!agent_rig_put(r, c, bytes, n)) {
        rig_disconnect(c);
        agent_rig_run(r);
        rig_connect(r, c);
    }
}

/* The method comes from the table, so that every input reaches one. */
static void give_request(struct agent_rig *r, struct rig_client *c, uint8_t which, const uint8_t *bytes, size_t n)
{
    const struct agent_method *m = &agent_methods[which % agent_method_count];
    ttrpc_Request q = {.service = rig_text(m->service), .method = rig_text(m->method)};
    uint8_t raw[512] = {0};
    q.payload = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n));
    require(q.payload != NULL && n <= UINT8_MAX);
    q.payload->size = (pb_size_t)n;
    memcpy(q.payload->bytes, bytes, n);
    pb_ostream_t out = pb_ostream_from_buffer(raw + TTRPC_HEADER_BYTES, sizeof(raw) - TTRPC_HEADER_BYTES);
    require(pb_encode(&out, ttrpc_Request_fields, &q));
    free(q.payload);
    raw[2] = (uint8_t)(out.bytes_written >> 8);
    raw[3] = (uint8_t)out.bytes_written;
    raw[6] = (uint8_t)(c->next_stream >> 8);
    raw[7] = (uint8_t)c->next_stream;
    raw[8] = TTRPC_REQUEST;
    c->next_stream += 2;
    give_bytes(r, c, raw, TTRPC_HEADER_BYTES + out.bytes_written);
}

/* A container with a short name, so that requests find it. */
static void give_container(struct agent_rig *r, uint8_t which)
{
    const char name[2] = {(char)('a' + which % 4), '\0'};
    (void)rig_create(r, name, (which & 4) != 0);
}

static struct rig_process *pick(struct agent_rig *r, uint8_t which)
{
    struct rig_process *p = r->processes;
    for (uint8_t i = 0; p != NULL && i < which % 8; i++)
        p = p->next;
    return p;
}

static bool is_first(const struct agent_rig *r, const struct rig_process *p, struct container **found)
{
    for (*found = r->containers; *found != NULL; *found = (*found)->next)
        if ((*found)->first == p)
            return true;
    return false;
}

/* Does the agent still wait for the start of this further process? */
static bool is_awaited(const struct agent_rig *r, const struct rig_process *p)
{
    for (const struct agent_container *c = r->agent->containers; c != NULL; c = c->next)
        for (const struct agent_process *q = c->processes; q != NULL; q = q->next)
            if (q->pid == p->pid && q->sync.fd == p->sync && p->sync >= 0)
                return true;
    return false;
}

static void give_progress(struct agent_rig *r, struct rig_process *p, int result)
{
    struct container *c;
    if (is_first(r, p, &c))
        rig_advance(r, c, result, "fuzz");
    else if (is_awaited(r, p))
        rig_exec_done(r, p, result, "fuzz");
}

static void give_end(struct agent_rig *r, struct rig_process *p, int wait_status)
{
    struct container *c;
    if (p->pid > 0 && (is_first(r, p, &c) || is_awaited(r, p) || p->out >= 0))
        rig_exit(r, p, wait_status);
    p->pid = 0;
}

static void give_process_step(struct agent_rig *r, uint8_t what, const uint8_t *bytes, size_t n)
{
    struct rig_process *p = pick(r, n > 0 ? bytes[0] : 0);
    char sink[4096];
    if (p == NULL)
        return;
    switch (what % 6) {
    case 0: give_progress(r, p, 0); break;
    case 1: give_progress(r, p, n > 1 && bytes[1] != 0 ? -(int)bytes[1] : -11); break;
    case 2: give_end(r, p, n > 1 ? bytes[1] << 8 : SIGKILL); break;
    case 3: (void)!write(p->out >= 0 ? p->out : p->tty, bytes, n); break;
    case 4: (void)!read(p->in >= 0 ? p->in : p->tty, sink, sizeof(sink)); break;
    default: rig_close(&p->err); break;
    }
    agent_rig_run(r);
}

static void take_answers(struct agent_rig *r, struct rig_client *c)
{
    while (c->fd >= 0 && rig_receive(r, c))
        require(c->stream != 0 || c->code == TTRPC_INVALID_ARGUMENT);
}

static void step(struct agent_rig *r, struct rig_client *other, uint8_t what, const uint8_t *bytes, size_t n)
{
    switch (what & 7) {
    case 0: give_bytes(r, &r->client, bytes, n); break;
    case 1: give_bytes(r, other, bytes, n); break;
    case 2: give_request(r, other, what >> 3, bytes, n); break;
    case 3: give_request(r, other, (uint8_t)(32 | what >> 3), bytes, n); break; /* there are more than 32 */
    case 4: give_container(r, what >> 3); break;
    case 5: give_process_step(r, what >> 3, bytes, n); break;
    case 6: rig_pass(r, n > 0 ? bytes[0] * UINT64_C(40) : 1); break;
    default:
        rig_disconnect(other);
        agent_rig_run(r);
        rig_connect(r, other);
    }
    agent_rig_run(r);
    take_answers(r, other);
    take_answers(r, &r->client);
}

static void check_counts(const struct agent *a)
{
    unsigned containers = 0, processes = 0, mounts = 0;
    for (const struct agent_container *c = a->containers; c != NULL; c = c->next, containers++)
        for (const struct agent_process *p = c->processes; p != NULL; p = p->next)
            processes++;
    for (const struct agent_mount *m = a->mounts; m != NULL; m = m->next, mounts++)
        require(m->users > 0);
    require(containers == a->container_count && processes == a->process_count && mounts == a->mount_count);
    require(containers <= AGENT_CONTAINERS_MAX && a->server.connection_count <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_rig *r = rig_new();
    struct rig_client other;
    rig_connect(r, &other);
    for (unsigned steps = 0; size >= 2 && steps < STEPS_MAX && r->agent->stage != AGENT_OFF; steps++) {
        size_t n = data[1] < size - 2 ? data[1] : size - 2;
        step(r, &other, data[0], data + 2, n);
        check_counts(r->agent);
        data += 2 + n;
        size -= 2 + n;
    }
    rig_disconnect(&other);
    rig_disconnect(&r->client);
    agent_rig_run(r);
    require(r->agent->stage == AGENT_OFF || (r->agent->server.calls == 0 && r->agent->server.call_bytes == 0 &&
                                             r->agent->server.connection_count == 0));
    rig_free(r);
    return 0;
}
