/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target once over each file of a corpus, without libFuzzer: so every build replays what fuzzing found.
 * usage: <name>_fuzz FOLDER-OR-FILE...
 * The empty input comes first, whether the corpus has it or not.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger than libFuzzer's own default limit of 4 KiB for generated inputs, small enough for any stack of copies. */
#define MAX_INPUT_BYTES (1u << 20)

/* Run one file. Returns 0, or -errno when it cannot be read. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(MAX_INPUT_BYTES);
    int result = 0;

    if (file == NULL || data == NULL) {
        result = -errno;
    } else {
        size_t size = fread(data, 1, MAX_INPUT_BYTES, file);
        /* An exact copy, so that the sanitizer sees a read past its end. */
        uint8_t *exact = malloc(size > 0 ? size : 1);

        if (exact == NULL) {
            result = -ENOMEM;
        } else {
            memcpy(exact, data, size);
            LLVMFuzzerTestOneInput(exact, size);
            free(exact);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    free(data);
    return result;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Run every file of a folder in the order of their names. Returns how many ran, or -errno. */
static int replay_folder(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    int result = count < 0 ? -errno : count;

    for (int i = 0; i < count; i++) {
        char file[4096];
        int length = snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        int error = length < (int)sizeof(file) ? replay_file(file) : -ENAMETOOLONG;

        if (error < 0) {
            result = error;
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

int main(int argc, char **argv)
{
    int inputs = 1;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct stat status;
        int ran = stat(argv[i], &status) != 0 ? -errno : 1;

        if (ran > 0) {
            ran = S_ISDIR(status.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
        }
        if (ran < 0) {
            fprintf(stderr, "replay: cannot run the inputs in %s: %s\n", argv[i], strerror(-ran));
            return 1;
        }
        inputs += S_ISDIR(status.st_mode) ? ran : 1;
    }
    printf("%d inputs ran\n", inputs);
    /* The words scripts/run-tests counts. */
    printf("[  PASSED  ] 1 test(s).\n");
    return 0;
}
