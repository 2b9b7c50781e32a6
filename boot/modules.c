/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/modules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

/* Deeper chains of dependencies than this are not found in practice (Linux 6.1 has 8). */
#define MAX_DEPTH 32u
/* Searches through a whole table. A guest's modules need a few hundred; hostile tables could ask for millions. */
#define MAX_SEARCHES 2048u

/* A piece of one of the tables. */
struct span {
    const char *at;
    size_t length;
};

struct table {
    uint8_t *bytes;
    size_t length;
};

/* One line of modules.dep: `path: dependencies`. */
struct line {
    struct span path, dependencies;
    enum { UNSEEN, OPEN, DONE } state;
};

struct collector {
    boot_modules_read *read;
    void *context;
    unsigned packings;
    struct boot_modules *out;
    struct err *err;
    struct table dep, builtin, softdep, alias;
    struct line *lines; /* of modules.dep */
    size_t line_count;
    unsigned searches;
    uint64_t sum;
};

/* ---- Text ------------------------------------------------------------------------------------------------------ */

static bool span_is(struct span s, const char *text)
{
    return s.length == strlen(text) && memcmp(s.at, text, s.length) == 0;
}

static bool spans_equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

/* Cut the next line off *rest. False at the end. A last line without an end counts. */
static bool next_line(struct span *rest, struct span *line)
{
    if (rest->length == 0) {
        return false;
    }
    const char *end = memchr(rest->at, '\n', rest->length);
    line->at = rest->at;
    line->length = end != NULL ? (size_t)(end - rest->at) : rest->length;
    size_t used = line->length + (end != NULL);
    rest->at += used;
    rest->length -= used;
    return true;
}

/* Cut the next word, between blanks, off *rest. */
static bool next_word(struct span *rest, struct span *word)
{
    while (rest->length > 0 && (*rest->at == ' ' || *rest->at == '\t')) {
        rest->at++;
        rest->length--;
    }
    word->at = rest->at;
    word->length = 0;
    while (word->length < rest->length && rest->at[word->length] != ' ' && rest->at[word->length] != '\t') {
        word->length++;
    }
    rest->at += word->length;
    rest->length -= word->length;
    return word->length > 0;
}

static struct span span_of(const char *text)
{
    return (struct span){.at = text, .length = strlen(text)};
}

static struct span file_name(struct span path)
{
    const char *slash = path.length > 0 ? memrchr(path.at, '/', path.length) : NULL;
    if (slash == NULL) {
        return path;
    }
    size_t before = (size_t)(slash - path.at) + 1;
    return (struct span){.at = path.at + before, .length = path.length - before};
}

static bool ends_with(struct span s, const char *end)
{
    size_t n = strlen(end);
    return s.length > n && memcmp(s.at + s.length - n, end, n) == 0;
}

/* "kernel/fs/erofs/erofs.ko.xz" -> "erofs"; a path that is no module stays as it is. */
static struct span module_name(struct span path)
{
    static const char *const ends[] = {".ko", ".ko.gz", ".ko.xz", ".ko.zst"};
    struct span name = file_name(path);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends_with(name, ends[i])) {
            name.length -= strlen(ends[i]);
            return name;
        }
    }
    return name;
}

static char same_dash(char c)
{
    return c == '-' ? '_' : c;
}

static bool names_match(struct span a, struct span b)
{
    bool same = a.length == b.length;
    for (size_t i = 0; i < a.length && same; i++) {
        same = same_dash(a.at[i]) == same_dash(b.at[i]);
    }
    return same;
}

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

static int fail(const struct collector *c, int code, struct span on_what, const char *why, const char *what_to_do)
{
    char name[128];
    size_t length = on_what.length < sizeof name - 1 ? on_what.length : sizeof name - 1;
    memcpy(name, on_what.at, length);
    name[length] = '\0';
    const struct err_context context = {.attempted = "take kernel module", .on_what = name, .what_to_do = what_to_do};
    return why != NULL ? err_fail_because(c->err, code, &context, "%s", why) : err_fail(c->err, code, &context);
}

/* ---- Tables ---------------------------------------------------------------------------------------------------- */

/* Read a table; an optional one that is missing is empty. */
static int read_table(const struct collector *c, const char *name, bool optional, struct table *table)
{
    int result = c->read(c->context, name, BOOT_MODULES_TABLE_MAX, &table->bytes, &table->length);
    if (result == 0 || (optional && result == -ENOENT)) {
        return 0;
    }
    const struct err_context context = {.attempted = "read",
                                        .on_what = name,
                                        .what_to_do = "name a folder like /lib/modules/<release>, after depmod(8)"};
    return err_fail(c->err, result, &context);
}

static struct span table_span(const struct table *t)
{
    return (struct span){.at = (const char *)t->bytes, .length = t->length};
}

/* Relative, no empty, "." or ".." part, no control bytes: cannot lead out of the folder. */
static bool path_is_sound(struct span path)
{
    size_t part = 0;
    for (size_t i = 0; i <= path.length; i++) {
        if (i < path.length && path.at[i] != '/') {
            if ((unsigned char)path.at[i] < 0x20 || path.at[i] == 0x7f) {
                return false;
            }
            continue;
        }
        struct span word = {.at = path.at + part, .length = i - part};
        if (word.length == 0 || span_is(word, ".") || span_is(word, "..")) {
            return false;
        }
        part = i + 1;
    }
    return true;
}

static int parse_line(const struct collector *c, struct span text, struct line *line)
{
    const char *colon = text.length > 0 ? memchr(text.at, ':', text.length) : NULL;
    if (colon == NULL) {
        return fail(c, -EINVAL, text, "a line of modules.dep has no colon", "run depmod(8) for this kernel again");
    }
    line->path = (struct span){.at = text.at, .length = (size_t)(colon - text.at)};
    line->dependencies = (struct span){.at = colon + 1, .length = text.length - line->path.length - 1};
    line->state = UNSEEN;
    return 0;
}

static int parse_dep(struct collector *c)
{
    struct span rest = table_span(&c->dep), text;
    size_t lines = 0;
    while (next_line(&rest, &text)) {
        lines++;
    }
    c->lines = calloc(lines + 1, sizeof *c->lines);
    if (c->lines == NULL) {
        return fail(c, -ENOMEM, span_of("list"), NULL, NULL);
    }
    rest = table_span(&c->dep);
    while (next_line(&rest, &text)) {
        if (text.length == 0 || text.at[0] == '#') {
            continue;
        }
        int result = parse_line(c, text, &c->lines[c->line_count]);
        if (result < 0) {
            return result;
        }
        c->line_count++;
    }
    return 0;
}

static struct line *find_name(const struct collector *c, struct span name)
{
    for (size_t i = 0; i < c->line_count; i++) {
        if (names_match(module_name(c->lines[i].path), name)) {
            return &c->lines[i];
        }
    }
    return NULL;
}

static struct line *find_path(const struct collector *c, struct span path)
{
    for (size_t i = 0; i < c->line_count; i++) {
        if (spans_equal(c->lines[i].path, path)) {
            return &c->lines[i];
        }
    }
    return NULL;
}

static bool is_built_in(const struct collector *c, struct span name)
{
    struct span rest = table_span(&c->builtin), path;
    while (next_line(&rest, &path)) {
        if (names_match(module_name(path), name)) {
            return true;
        }
    }
    return false;
}

/* ---- Files ----------------------------------------------------------------------------------------------------- */

static enum boot_module_packing packing_of(struct span path)
{
    return ends_with(path, ".gz")    ? BOOT_MODULE_GZIP
           : ends_with(path, ".xz")  ? BOOT_MODULE_XZ
           : ends_with(path, ".zst") ? BOOT_MODULE_ZSTD
                                     : BOOT_MODULE_PLAIN;
}

/* Everything that can be said against a file before it is read. */
static int check_file(const struct collector *c, struct span path)
{
    unsigned packing = packing_of(path);
    if (!path_is_sound(path)) {
        return fail(c, -EINVAL, path, "modules.dep names a path that leads out of the folder",
                    "use a folder that depmod(8) has made");
    }
    if (spans_equal(module_name(path), file_name(path))) {
        return fail(c, -EINVAL, path, "modules.dep names a file that is no .ko",
                    "use a folder that depmod(8) has made");
    }
    if ((packing & ~c->packings) != 0) {
        return fail(c, -ENOTSUP, path, "it is compressed, and this kernel is not known to unpack modules itself",
                    "unpack it in a copy of the folder (xz -d, zstd -d, gzip -d) and run depmod(8) there");
    }
    if (c->out->count == BOOT_MODULES_MAX) {
        return fail(c, -E2BIG, path, "too many modules for one guest", "want fewer");
    }
    for (size_t i = 0; i < c->out->count; i++) {
        if (spans_equal(span_of(c->out->files[i].name), file_name(path))) {
            return fail(c, -EEXIST, path, "another module has the same file name", "remove one of the two");
        }
    }
    return 0;
}

static int take_file(struct collector *c, struct span path)
{
    int result = check_file(c, path);
    if (result < 0) {
        return result;
    }
    struct boot_module *file = &c->out->files[c->out->count];
    *file = (struct boot_module){.path = malloc(path.length + 1)};
    if (file->path == NULL) {
        return fail(c, -ENOMEM, path, NULL, NULL);
    }
    memcpy(file->path, path.at, path.length);
    file->path[path.length] = '\0';
    c->out->count++;
    file->name = file->path + (path.length - file_name(path).length);
    result = c->read(c->context, file->path, BOOT_MODULES_FILE_MAX, &file->bytes, &file->length);
    if (result < 0) {
        return fail(c, result, path, NULL, "check that the folder is complete and belongs to this kernel");
    }
    if (!checked_add_u64(c->sum, file->length, &c->sum) || c->sum > BOOT_MODULES_SUM_MAX) {
        return fail(c, -E2BIG, path, "the modules are too large together", "want fewer");
    }
    return 0;
}

/* ---- Dependencies ---------------------------------------------------------------------------------------------- */

static int visit(struct collector *c, struct line *line, unsigned depth);

/* To be called before each search, on behalf of a name. */
static int count_search(struct collector *c, struct span name)
{
    if (c->searches++ < MAX_SEARCHES) {
        return 0;
    }
    return fail(c, -E2BIG, name, "the tables name more dependencies than any kernel has",
                "run depmod(8) for this kernel again");
}

/*
 * A soft dependency by its name. Circles are allowed among them: whoever is being visited already is left alone. What
 * is not there is not missed; *found, if not NULL, tells.
 */
static int visit_soft_name(struct collector *c, struct span name, unsigned depth, bool *found)
{
    int result = count_search(c, name);
    struct line *line = result == 0 ? find_name(c, name) : NULL;
    if (found != NULL) {
        *found = line != NULL;
    }
    return line != NULL && line->state != OPEN ? visit(c, line, depth) : result;
}

/* The modules an alias stands for, all of them, as modprobe does. Only plain aliases are looked at, not patterns. */
static int visit_alias(struct collector *c, struct span name, unsigned depth)
{
    struct span rest = table_span(&c->alias), text, word, alias, module;
    while (next_line(&rest, &text)) {
        if (!next_word(&text, &word) || !span_is(word, "alias") || !next_word(&text, &alias) ||
            !next_word(&text, &module) || !names_match(alias, name)) {
            continue;
        }
        int result = visit_soft_name(c, module, depth, NULL);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

static int visit_soft(struct collector *c, struct span name, unsigned depth)
{
    bool found;
    int result = visit_soft_name(c, name, depth, &found);
    return result == 0 && !found ? visit_alias(c, name, depth) : result;
}

/* Lines of modules.softdep: "softdep NAME pre: A B post: C"; only what comes before matters for the order. */
static int visit_softdeps(struct collector *c, struct span name, unsigned depth)
{
    struct span rest = table_span(&c->softdep), text, word;
    int result = 0;
    while (result == 0 && next_line(&rest, &text)) {
        if (!next_word(&text, &word) || !span_is(word, "softdep") || !next_word(&text, &word) ||
            !names_match(word, name)) {
            continue;
        }
        bool before = false;
        while (result == 0 && next_word(&text, &word)) {
            if (ends_with(word, ":")) {
                before = span_is(word, "pre:");
            } else if (before) {
                result = visit_soft(c, word, depth);
            }
        }
    }
    return result;
}

static int visit_dependencies(struct collector *c, const struct line *line, unsigned depth)
{
    struct span rest = line->dependencies, path;
    while (next_word(&rest, &path)) {
        int result = count_search(c, path);
        struct line *next = result == 0 ? find_path(c, path) : NULL;
        if (result < 0) {
            return result;
        }
        if (next == NULL) {
            return fail(c, -EINVAL, path, "another module needs it, and modules.dep has no line for it",
                        "run depmod(8) for this kernel again");
        }
        result = visit(c, next, depth);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

/* Take a module after all it depends on. */
static int visit(struct collector *c, struct line *line, unsigned depth)
{
    if (line->state == DONE) {
        return 0;
    }
    if (line->state == OPEN || depth == MAX_DEPTH) {
        return fail(c, -ELOOP, line->path,
                    line->state == OPEN ? "it depends on itself" : "its chain of dependencies is too long",
                    "run depmod(8) for this kernel again");
    }
    line->state = OPEN;
    int result = visit_softdeps(c, module_name(line->path), depth + 1);
    if (result == 0) {
        result = visit_dependencies(c, line, depth + 1);
    }
    if (result == 0) {
        result = take_file(c, line->path);
    }
    line->state = DONE;
    return result;
}

static int take_wish(struct collector *c, const struct boot_module_wish *wish)
{
    struct span name = span_of(wish->name);
    struct line *line = find_name(c, name);
    if (line != NULL) {
        return visit(c, line, 0);
    }
    if (is_built_in(c, name)) {
        c->out->built_in++;
        return 0;
    }
    if (wish->optional) {
        c->out->absent++;
        return 0;
    }
    return fail(c, -ENOENT, name, "the kernel has it neither as a module nor built in",
                "use another kernel, or do not ask for it");
}

/* ---- The whole ------------------------------------------------------------------------------------------------- */

static int make_list(const struct collector *c)
{
    struct boot_modules *out = c->out;
    size_t bytes = 0;
    for (size_t i = 0; i < out->count; i++) {
        bytes += strlen(out->files[i].name) + 1;
    }
    out->list = malloc(bytes + 1);
    if (out->list == NULL) {
        return fail(c, -ENOMEM, span_of("list"), NULL, NULL);
    }
    char *at = out->list;
    for (size_t i = 0; i < out->count; i++) {
        at = stpcpy(at, out->files[i].name);
        *at++ = '\n';
    }
    *at = '\0';
    out->list_bytes = bytes;
    return 0;
}

static int collect(struct collector *c, const struct boot_module_wish *wishes, size_t count)
{
    int result = read_table(c, "modules.dep", false, &c->dep);
    if (result == 0) {
        result = read_table(c, "modules.builtin", true, &c->builtin);
    }
    if (result == 0) {
        result = read_table(c, "modules.softdep", true, &c->softdep);
    }
    if (result == 0) {
        result = read_table(c, "modules.alias", true, &c->alias);
    }
    if (result == 0) {
        result = parse_dep(c);
    }
    for (size_t i = 0; i < count && result == 0; i++) {
        result = take_wish(c, &wishes[i]);
    }
    return result == 0 ? make_list(c) : result;
}

int boot_modules_collect(boot_modules_read *read, void *context, const struct boot_module_wish *wishes, size_t count,
                         unsigned packings, struct boot_modules *out, struct err *err)
{
    struct collector c = {.read = read, .context = context, .packings = packings, .out = out, .err = err};
    int result = collect(&c, wishes, count);
    free(c.lines);
    free(c.dep.bytes);
    free(c.builtin.bytes);
    free(c.softdep.bytes);
    free(c.alias.bytes);
    if (result < 0) {
        boot_modules_fini(out);
    }
    return result;
}

void boot_modules_fini(struct boot_modules *modules)
{
    for (size_t i = 0; i < modules->count; i++) {
        free(modules->files[i].path);
        free(modules->files[i].bytes);
    }
    free(modules->list);
    memset(modules, 0, sizeof *modules);
}
