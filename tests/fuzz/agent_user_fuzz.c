/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/passwd and /etc/group of images: any text, and keys taken from it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/container/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const char *text, const char *key)
{
    char home[USER_HOME_BYTES] = "";
    uid_t uid = 0;
    gid_t gid = 0;
    if (user_find(text, key, &uid, &gid, home) == 0) {
        assert(uid != UINT32_MAX && gid != UINT32_MAX);
        assert(home[0] == '\0' || home[0] == '/');
        assert(strchr(home, '\n') == NULL && strchr(home, ':') == NULL);
    }
    if (user_find_group(text, key, &gid) == 0)
        assert(gid != UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char key[64], *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    size_t length = strcspn(text, ":\n");
    length = length < sizeof key ? length : sizeof key - 1;
    memcpy(key, text, length);
    key[length] = '\0';
    look_up(text, key);
    look_up(text, "root");
    look_up(text, "1000");
    free(text);
    return 0;
}
