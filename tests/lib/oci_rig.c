/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/oci_rig.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define WORDS_MAX  32

int oci_rig_set_up(void **state)
{
    struct oci_rig *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -1;
    *state = r;
    strcpy(r->root, "/tmp/caisson-oci-XXXXXX");
    r->global.root = r->root;
    r->io = (struct cli_io){.global = &r->global};
    r->io.out = open_memstream(&r->out, &r->out_size);
    r->io.err = open_memstream(&r->err, &r->err_size);
    return mkdtemp(r->root) == NULL || r->io.out == NULL || r->io.err == NULL ? -1 : 0;
}

int oci_rig_tear_down(void **state)
{
    struct oci_rig *r = *state;
    char command[128];
    for (unsigned i = 0; i < r->child_count; i++) {
        kill(r->children[i], SIGKILL);
        waitpid(r->children[i], NULL, 0);
    }
    fclose(r->io.out);
    fclose(r->io.err);
    free(r->out);
    free(r->err);
    snprintf(command, sizeof(command), "rm -rf %s", r->root);
    int code = system(command);
    free(r);
    return code;
}

int oci_rig_run(struct oci_rig *r, int (*command)(const struct cli_io *io, int argc, char **argv), const char *line)
{
    char words[LINE_BYTES], *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0;
    rewind(r->io.out);
    rewind(r->io.err);
    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok(words, " "); word != NULL && argc < WORDS_MAX; word = strtok(NULL, " "))
        argv[argc++] = word;
    int code = command(&r->io, argc, argv);
    fputc('\0', r->io.out); /* what an earlier, longer output left behind it does not count */
    fputc('\0', r->io.err);
    fflush(r->io.out);
    fflush(r->io.err);
    return code;
}

struct oci_process oci_rig_process(struct oci_rig *r)
{
    struct oci_process p = {.pid = 0};
    assert(r->child_count < OCI_RIG_CHILDREN_MAX);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    r->children[r->child_count++] = pid;
    if (oci_process_find(pid, &p) != 0)
        abort();
    return p;
}

void oci_rig_add(struct oci_rig *r, const char *id, bool lives, bool started, bool paused)
{
    struct oci_store store;
    struct oci_entry entry;
    struct oci_state s = {.id = strdup(id),
                          .bundle = strdup("/b"),
                          .rootfs = strdup("/b/rootfs"),
                          .pod = strdup(id),
                          .created = strdup("2026-01-02T03:04:05.000000006Z"),
                          .owner = strdup("root"),
                          .init = {.pid = 1, .start = 1}, /* nobody's */
                          .started = started,
                          .paused = paused};
    if (lives)
        s.init = oci_rig_process(r);
    if (oci_store_open(&store, r->root, true, NULL) != 0 || oci_entry_create(&store, id, &entry, NULL) != 0 ||
        oci_state_save(&entry, &s, NULL) != 0 || mkdirat(entry.fd, "pod", 0700) != 0)
        abort();
    oci_entry_close(&entry);
    oci_store_close(&store);
    oci_state_release(&s);
}

int oci_rig_load(struct oci_rig *r, const char *id, struct oci_state *out)
{
    struct oci_store store;
    struct oci_entry entry;
    int code = oci_store_open(&store, r->root, false, NULL);
    if (code != 0)
        return code;
    code = oci_entry_open(&store, id, false, &entry, NULL);
    if (code == 0) {
        code = oci_state_load(&entry, out, NULL);
        oci_entry_close(&entry);
    }
    oci_store_close(&store);
    return code;
}
