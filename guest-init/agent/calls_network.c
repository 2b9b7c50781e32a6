/* SPDX-License-Identifier: Apache-2.0 */
#include <pb_decode.h>

#include "guest-init/agent/calls.h"

/* Answer with a message, or with what went wrong; releases the message. */
static void answer(struct call *c, int result, struct err *err, const pb_msgdesc_t *fields, void *message)
{
    if (result == 0) {
        call_reply(c, fields, message);
    } else {
        err->code = result;
        call_fail_err(c, err);
    }
    pb_release(fields, message);
}

void calls_update_interface(struct agent *a, struct call *c, const void *request)
{
    const grpc_UpdateInterfaceRequest *r = request;
    types_Interface out = types_Interface_init_zero;
    struct err err;
    if (!r->has_interface) {
        call_fail(c, TTRPC_INVALID_ARGUMENT, "the request names no interface");
        return;
    }
    err_clear(&err);
    int result = a->ops->update_interface(&r->interface, &out, &err);
    answer(c, result, &err, types_Interface_fields, &out);
}

void calls_update_routes(struct agent *a, struct call *c, const void *request)
{
    const grpc_UpdateRoutesRequest *r = request;
    grpc_Routes out = grpc_Routes_init_zero;
    struct err err;
    if (!r->has_routes) {
        call_fail(c, TTRPC_INVALID_ARGUMENT, "the request has no routes");
        return;
    }
    err_clear(&err);
    int result = a->ops->update_routes(&r->routes, &out, &err);
    answer(c, result, &err, grpc_Routes_fields, &out);
}

void calls_list_interfaces(struct agent *a, struct call *c, const void *request)
{
    grpc_Interfaces out = grpc_Interfaces_init_zero;
    struct err err;
    (void)request;
    err_clear(&err);
    int result = a->ops->list_interfaces(&out, &err);
    answer(c, result, &err, grpc_Interfaces_fields, &out);
}

void calls_list_routes(struct agent *a, struct call *c, const void *request)
{
    grpc_Routes out = grpc_Routes_init_zero;
    struct err err;
    (void)request;
    err_clear(&err);
    int result = a->ops->list_routes(&out, &err);
    answer(c, result, &err, grpc_Routes_fields, &out);
}

void calls_add_arp_neighbors(struct agent *a, struct call *c, const void *request)
{
    const grpc_AddARPNeighborsRequest *r = request;
    struct err err;
    if (!r->has_neighbors) {
        call_fail(c, TTRPC_INVALID_ARGUMENT, "the request has no neighbours");
        return;
    }
    err_clear(&err);
    int result = a->ops->add_neighbours(&r->neighbors, &err);
    if (result == 0) {
        call_done(c);
        return;
    }
    err.code = result;
    call_fail_err(c, &err);
}
