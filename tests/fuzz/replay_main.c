/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer: once over each file of a corpus, so that every build replays what fuzzing has
 * found; then, if asked to, for some time over changed copies of them, which finds what is broken near to valid input
 * without another build. usage: <name>_fuzz [--mutate MILLISECONDS [--seed NUMBER] [--keep FILE]] FOLDER-OR-FILE...
 * The empty input comes first, whether the corpus has it or not. --keep: where an input goes that breaks the target.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger than libFuzzer's own default limit of 4 KiB for generated inputs, small enough for any stack of copies. */
#define MAX_INPUT_BYTES (1u << 20)
/* Large inputs take long, and say nothing that two thousand bytes do not; what is in the corpus may be larger. */
#define MUTANT_BYTES   8192u
#define CHANGES_MAX    6u
#define INPUT_SECONDS  20u /* for one input; sanitizers and a busy machine make ten times of two seconds */
#define RUNS_PER_CLOCK 16u

struct input {
    uint8_t *bytes;
    size_t size;
};

struct corpus {
    struct input *input;
    size_t count;
};

/* The input that is being run, in memory that outlives the process that runs it. */
struct trial {
    uint64_t runs;
    size_t size;
    uint8_t bytes[MUTANT_BYTES];
};

/* ---- Running ---- */

/* On an exact copy, so that the sanitizer sees a read past its end. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        abort();
    if (size > 0)
        memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

/* Read one file behind the others. Returns 0, or -errno. */
static int add_file(struct corpus *c, const char *path)
{
    FILE *file = fopen(path, "rb");
    struct input *more = realloc(c->input, (c->count + 1) * sizeof(*more));
    uint8_t *bytes = malloc(MAX_INPUT_BYTES);
    int result = file == NULL ? -errno : more == NULL || bytes == NULL ? -ENOMEM : 0;

    c->input = more != NULL ? more : c->input;
    if (result == 0) {
        size_t size = fread(bytes, 1, MAX_INPUT_BYTES, file);
        uint8_t *less = realloc(bytes, size > 0 ? size : 1);
        c->input[c->count++] = (struct input){less != NULL ? less : bytes, size};
    } else {
        free(bytes);
    }
    if (file != NULL)
        fclose(file);
    return result;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Every file of a folder in the order of their names. Returns 0, or -errno. */
static int add_folder(struct corpus *c, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    int result = count < 0 ? -errno : 0;

    for (int i = 0; i < count; i++) {
        char file[4096];
        int length = snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        int error = length < (int)sizeof(file) ? add_file(c, file) : -ENAMETOOLONG;
        result = error < 0 ? error : result;
        free(entries[i]);
    }
    free(entries);
    return result;
}

static int add_path(struct corpus *c, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return -errno;
    return S_ISDIR(status.st_mode) ? add_folder(c, path) : add_file(c, path);
}

static void free_corpus(struct corpus *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->input[i].bytes);
    free(c->input);
}

/* ---- Changing ---- */

/* SplitMix64 (Steele, Lea, Flood, 2014): the same seed gives the same inputs everywhere. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t draw_below(uint64_t *state, size_t limit)
{
    return limit > 0 ? (size_t)(draw(state) % limit) : 0;
}

/* Numbers at which lengths and counts go wrong, in 1 to 8 bytes of either order. */
static void put_number(struct trial *t, uint64_t *state)
{
    static const uint64_t numbers[] = {0,          1,          2,         0x7f,      0x80,    0xff,
                                       0x100,      0x7fff,     0x8000,    0xffff,    0x10000, 0x7fffffff,
                                       0x80000000, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint64_t value = numbers[draw_below(state, sizeof(numbers) / sizeof(numbers[0]))] - (draw(state) & 1);
    size_t bytes = (size_t)1 << draw_below(state, 4), at = draw_below(state, t->size);
    bool big = (draw(state) & 1) != 0;
    for (size_t i = 0; i < bytes && at + i < t->size; i++)
        t->bytes[at + i] = (uint8_t)(value >> 8 * (big ? bytes - 1 - i : i));
}

static void remove_some(struct trial *t, uint64_t *state)
{
    size_t at = draw_below(state, t->size), n = 1 + draw_below(state, (draw(state) & 1) != 0 ? 8 : t->size - at);
    n = n < t->size - at ? n : t->size - at;
    memmove(t->bytes + at, t->bytes + at + n, t->size - at - n);
    t->size -= n;
}

/* What `from` holds somewhere, or its own bytes once more; inserted, or in place of what is there. */
static void put_piece(struct trial *t, const struct input *from, uint64_t *state)
{
    uint8_t piece[256];
    size_t start = draw_below(state, from->size), at = draw_below(state, t->size + 1);
    size_t n = 1 + draw_below(state, sizeof(piece));
    n = n < from->size - start ? n : from->size - start;
    memcpy(piece, from->bytes + start, n);
    bool insert = (draw(state) & 1) != 0;
    n = n < MUTANT_BYTES - (insert ? t->size : at) ? n : MUTANT_BYTES - (insert ? t->size : at);
    if (insert)
        memmove(t->bytes + at + n, t->bytes + at, t->size - at);
    memcpy(t->bytes + at, piece, n);
    t->size = insert ? t->size + n : t->size > at + n ? t->size : at + n;
}

static void change(struct trial *t, const struct corpus *c, uint64_t *state)
{
    uint64_t what = draw_below(state, 8);
    if (t->size == 0 || what >= 6) {
        put_piece(t, &c->input[draw_below(state, c->count)], state);
        return;
    }
    uint8_t *byte = &t->bytes[draw_below(state, t->size)];
    switch (what) {
    case 0: *byte ^= (uint8_t)(1u << draw_below(state, 8)); break;
    case 1: *byte = (uint8_t)draw(state); break;
    case 2: *byte = (uint8_t)(*byte + draw_below(state, 9) - 4); break;
    case 3: put_number(t, state); break;
    case 4: remove_some(t, state); break;
    default: put_piece(t, &(struct input){t->bytes, t->size}, state); break;
    }
}

static void make_mutant(struct trial *t, const struct corpus *c, uint64_t *state)
{
    const struct input *from = &c->input[draw_below(state, c->count)];
    t->size = from->size < MUTANT_BYTES ? from->size : MUTANT_BYTES;
    memcpy(t->bytes, from->bytes, t->size);
    for (size_t left = 1 + draw_below(state, CHANGES_MAX); left > 0; left--)
        change(t, c, state);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void run_mutants(struct trial *t, const struct corpus *c, uint64_t seed, uint64_t end_ms)
{
    while (t->runs % RUNS_PER_CLOCK != 0 || now_ms() < end_ms) {
        (void)alarm(INPUT_SECONDS);
        make_mutant(t, c, &seed);
        run(t->bytes, t->size);
        t->runs++;
    }
    (void)alarm(0);
}

static void keep(const struct trial *t, const char *path)
{
    FILE *file = path != NULL ? fopen(path, "wb") : NULL;
    if (file == NULL)
        return;
    (void)fwrite(t->bytes, 1, t->size, file);
    if (fclose(file) == 0)
        printf("the input is in %s\n", path);
}

/* Of the sanitizers' library: ends the process if something was not freed. */
void __lsan_do_leak_check(void) __attribute__((weak));

/* Not by exit, which would count the lines of inputs that are in no corpus. */
static _Noreturn void leave(void)
{
    if (__lsan_do_leak_check != NULL)
        __lsan_do_leak_check();
    _exit(0);
}

/* In a child, so that somebody is left to keep what broke it. 0, or 1. */
static int mutate(const struct corpus *c, uint64_t ms, uint64_t seed, const char *path)
{
    struct trial *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;

    if (t == MAP_FAILED)
        return 1;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        run_mutants(t, c, seed, now_ms() + ms);
        leave();
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        printf("ERROR: seed %llu: changed input %llu broke it (status %x%s)\n", (unsigned long long)seed,
               (unsigned long long)t->runs, (unsigned)status,
               WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
        keep(t, path);
        return 1;
    }
    printf("%llu changed inputs ran\n", (unsigned long long)t->runs);
    (void)munmap(t, sizeof(*t));
    return 0;
}

int main(int argc, char **argv)
{
    struct corpus c = {.count = 0};
    const char *path = NULL;
    uint64_t ms = 0, seed = 1;
    int i = 1;

    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--mutate") == 0)
            ms = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else
            path = argv[i + 1];
    }
    for (; i < argc; i++) {
        int error = add_path(&c, argv[i]);
        if (error < 0) {
            fprintf(stderr, "replay: cannot run the inputs in %s: %s\n", argv[i], strerror(-error));
            return 1;
        }
    }
    run((const uint8_t *)"", 0);
    for (size_t n = 0; n < c.count; n++)
        run(c.input[n].bytes, c.input[n].size);
    printf("%zu inputs ran\n", c.count + 1);
    int failed = ms > 0 && c.count > 0 ? mutate(&c, ms, seed, path) : 0;
    free_corpus(&c);
    /* The words scripts/run-tests counts. */
    printf("[  %s  ] 1 test(s).\n", failed != 0 ? "FAILED" : "PASSED");
    return failed;
}
