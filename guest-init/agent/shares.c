/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/container/container.h"

static const char *const folder = CONTAINER_SHARED "/";

/* Without what is below the name. 0: it is not of the folder, or was noted. */
static int note(struct agent_shares *s, const char *path)
{
    size_t head = strlen(folder);
    if (path == NULL || strncmp(path, folder, head) != 0 || path[head] == '\0')
        return 0;
    char *name = strndup(path, head + strcspn(path + head, "/"));
    if (name == NULL)
        return -ENOMEM;
    s->path[s->count++] = name;
    for (size_t i = 0; i + 1 < s->count; i++)
        if (strcmp(s->path[i], name) == 0) {
            free(name);
            s->count--;
            break;
        }
    return 0;
}

int agent_shares_note(struct agent_shares *s, const grpc_Spec *spec)
{
    *s = (struct agent_shares){.path = calloc(1 + (size_t)spec->Mounts_count, sizeof(*s->path))};
    int code = s->path == NULL ? -ENOMEM : note(s, spec->has_Root ? spec->Root.Path : NULL);
    for (pb_size_t i = 0; code == 0 && i < spec->Mounts_count; i++)
        code = note(s, spec->Mounts[i].source);
    if (code < 0)
        agent_shares_forget(s, NULL, NULL);
    return code;
}

void agent_shares_forget(struct agent_shares *s, void (*look)(void *context, const char *path), void *context)
{
    for (size_t i = 0; i < s->count; i++) {
        if (look != NULL)
            look(context, s->path[i]);
        free(s->path[i]);
    }
    free(s->path);
    *s = (struct agent_shares){.path = NULL};
}
