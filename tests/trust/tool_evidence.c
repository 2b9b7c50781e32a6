/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tests/lib/evidence_keys.h"
#include "tests/lib/evidence_rig.h"
#include "tests/trust/tool.h"

static int write_text(const char *folder, const char *name, const char *text)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    if (out == NULL)
        return 1;
    int failed = fputs(text, out) < 0;
    failed |= fclose(out) != 0;
    return failed;
}

static int kind_of(const char *name, enum key_kind *kind)
{
    static const char *const names[] = {[KEY_P256] = "p256", [KEY_P384] = "p384", [KEY_RSA] = "rsa"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *kind = (enum key_kind)i;
        if (strcmp(names[i], name) == 0)
            return 0;
    }
    return 2;
}

int tool_evidence(int argc, char **argv)
{
    struct evidence_rig r;
    enum key_kind kind;
    if (argc < 3 || argc > 4 || kind_of(argv[2], &kind) != 0)
        return 2;
    evidence_rig_init(&r, kind);
    if (argc == 4) {
        r.input.bind_agent = true;
        evidence_rig_make(&r);
    }
    evidence_rig_write(&r, argv[1]);
    evidence_rig_fini(&r);
    return write_text(argv[1], "node.pem", EVIDENCE_RIG_NODE_CERTIFICATE) |
           write_text(argv[1], "policy.json", evidence_rig_policy);
}
