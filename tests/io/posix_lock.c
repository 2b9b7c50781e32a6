/* SPDX-License-Identifier: Apache-2.0 */
/* The list's families about locks, mapped files, and what is not a plain file. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/io/posix.h"

/* musl has them under their kernel names only with _GNU_SOURCE, older headers not at all. */
#define OFD_GETLK 36
#define OFD_SETLK 37

#define PAGE ((size_t)4096)

/* ---- flock, fcntl ---- */

static int lock(int fd, int request, short type, off_t start, off_t length)
{
    struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, request, &f);
}

/* What another process gets: 0, or the errno. */
static int lock_elsewhere(const char *path, short type, off_t start, off_t length)
{
    int status;
    pid_t child = must(fork(), "fork");
    if (child == 0) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        _exit(lock(fd, F_SETLK, type, start, length) == 0 ? 0 : errno);
    }
    must(waitpid(child, &status, 0), "child");
    errno = WEXITSTATUS(status);
    return errno == 0 ? 0 : -1;
}

static void locks_posix(struct list *l)
{
    int fd = must(open("f", O_RDWR | O_CLOEXEC), "f"), reader = must(open("f", O_RDONLY | O_CLOEXEC), "f");
    say(l, "lock bytes 10 to 19 for writing", lock(fd, F_SETLK, F_WRLCK, 10, 10));
    say(l, "lock them again", lock(fd, F_SETLK, F_WRLCK, 10, 10));
    say(l, "another process locks them for writing", lock_elsewhere("f", F_WRLCK, 10, 10));
    say(l, "another process locks one for reading", lock_elsewhere("f", F_RDLCK, 19, 1));
    say(l, "another process locks what is behind", lock_elsewhere("f", F_WRLCK, 20, 0));
    say(l, "another process locks what is before", lock_elsewhere("f", F_WRLCK, 0, 10));
    say(l, "change the lock to one for reading", lock(fd, F_SETLK, F_RDLCK, 10, 10));
    say(l, "another process may read, too", lock_elsewhere("f", F_RDLCK, 10, 10));
    say(l, "another process may not write", lock_elsewhere("f", F_WRLCK, 10, 10));
    say(l, "unlock the middle", lock(fd, F_SETLK, F_UNLCK, 13, 4));
    say(l, "another process locks the middle", lock_elsewhere("f", F_WRLCK, 13, 4));
    say(l, "another process locks more than the middle", lock_elsewhere("f", F_WRLCK, 12, 4));
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    say(l, "ask about one's own locks", fcntl(fd, F_GETLK, &f));
    say_text(l, "which are not in the way", "%s", f.l_type == F_UNLCK ? "free" : "taken");
    say(l, "lock for writing what is open for reading", lock(reader, F_SETLK, F_WRLCK, 0, 1));
    say(l, "lock before the beginning", lock(fd, F_SETLK, F_WRLCK, -5, 1));
    say(l, "close another descriptor of the file", close(reader));
    say(l, "the locks went with it", lock_elsewhere("f", F_WRLCK, 0, 0));
    (void)close(fd);
}

static void locks_of_descriptions(struct list *l)
{
    int a = must(open("f", O_RDWR | O_CLOEXEC), "f"), b = must(open("f", O_RDWR | O_CLOEXEC), "f");
    int copy = must(dup(a), "dup");
    say(l, "lock by open file", lock(a, OFD_SETLK, F_WRLCK, 0, 5));
    say(l, "the same process by another one", lock(b, OFD_SETLK, F_WRLCK, 4, 1));
    say(l, "the same by a duplicate", lock(copy, OFD_SETLK, F_WRLCK, 4, 1));
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 10};
    say(l, "ask about it", fcntl(b, OFD_GETLK, &f));
    say_text(l, "what is in the way", "type %d from %lld, %lld bytes, process %d", f.l_type, (long long)f.l_start,
             (long long)f.l_len, f.l_pid);
    (void)close(a);
    say(l, "closing one of two descriptors keeps it", lock(b, OFD_SETLK, F_WRLCK, 0, 1));
    (void)close(copy);
    say(l, "closing both gives it up", lock(b, OFD_SETLK, F_WRLCK, 0, 1));
    (void)close(b);
}

static void locks_flock(struct list *l)
{
    int a = must(open("f", O_RDWR | O_CLOEXEC), "f"), b = must(open("f", O_RDONLY | O_CLOEXEC), "f");
    say(l, "flock, shared", flock(a, LOCK_SH | LOCK_NB));
    say(l, "shared by another", flock(b, LOCK_SH | LOCK_NB));
    say(l, "exclusive while shared", flock(a, LOCK_EX | LOCK_NB));
    say(l, "the other gives it up", flock(b, LOCK_UN));
    say(l, "exclusive then", flock(a, LOCK_EX | LOCK_NB));
    say(l, "shared while exclusive", flock(b, LOCK_SH | LOCK_NB));
    say(l, "fcntl does not see it", lock(b, F_SETLK, F_RDLCK, 0, 0));
    say(l, "close the exclusive one", close(a));
    say(l, "exclusive for the other", flock(b, LOCK_EX | LOCK_NB));
    say(l, "flock of a kind that does not exist", flock(b, 0));
    (void)close(b);
}

void posix_locks(struct list *l)
{
    make_file("f", "0123456789");
    locks_posix(l);
    locks_of_descriptions(l);
    locks_flock(l);
}

/* ---- mmap ---- */

/* In a child, which may die of it. */
static void say_touch(struct list *l, const char *name, const volatile char *p)
{
    int status = 0;
    pid_t child = must(fork(), "fork");
    if (child == 0) {
        (void)prctl(PR_SET_DUMPABLE, 0);
        _exit(*p);
    }
    must(waitpid(child, &status, 0), "wait");
    if (WIFSIGNALED(status))
        say_text(l, name, "%s", WTERMSIG(status) == SIGBUS ? "SIGBUS" : "another signal");
    else
        say_text(l, name, "%d", WEXITSTATUS(status));
}

static char *map(int fd, size_t bytes, int protection, int flags)
{
    void *p = mmap(NULL, bytes, protection, flags, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void say_mapped(struct list *l, const char *name, const char *p)
{
    say_text(l, name, "%s", p == NULL ? error_name(errno) : "ok");
}

static void mmap_shared(struct list *l)
{
    char text[16] = "";
    int fd = must(open("f", O_RDWR | O_CLOEXEC), "f");
    char *p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    say_mapped(l, "map a file for all", p);
    if (p == NULL)
        return;
    say_text(l, "what is in the map", "%.5s", p);
    memcpy(p, "MAPPED", 6);
    say(l, "read after writing to the map", pread(fd, text, 10, 0));
    say_text(l, "it sees that", "%.10s", text);
    must((int)pwrite(fd, "write", 5, 0), "f");
    say_text(l, "the map sees a write", "%.7s", p);
    say(l, "msync, waiting", msync(p, 2 * PAGE, MS_SYNC));
    say(l, "msync, not waiting", msync(p, 2 * PAGE, MS_ASYNC));
    say(l, "msync, invalidating", msync(p, 2 * PAGE, MS_SYNC | MS_INVALIDATE));
    say_text(l, "zeros behind the end in the last page", "%d", p[2000]);
    say_touch(l, "a page behind the last", p + PAGE);
    must(ftruncate(fd, (off_t)(2 * PAGE)), "f");
    say_touch(l, "the same page once the file is longer", p + PAGE);
    p[PAGE + 1] = 'z';
    must(ftruncate(fd, 3), "f");
    say_touch(l, "the same page once the file is short", p + PAGE);
    say_text(l, "what was cut is zero", "%d", p[3]);
    (void)close(fd);
    p[1] = 'W';
    say(l, "unmap after closing", munmap(p, 2 * PAGE));
    say_content(l, "the last write arrived", "f", 0);
}

static void mmap_private(struct list *l)
{
    int fd = must(open("g", O_RDWR | O_CLOEXEC), "g");
    char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    say_mapped(l, "map a file for oneself", p);
    if (p == NULL)
        return;
    memcpy(p, "private", 7);
    say_content(l, "the file does not see it", "g", 0);
    must(unlink("g"), "g");
    (void)close(fd);
    say_text(l, "the map outlives the file", "%.10s", p);
    (void)munmap(p, PAGE);
}

static void mmap_refused(struct list *l)
{
    int reader = must(open("f", O_RDONLY | O_CLOEXEC), "f"), writer = must(open("f", O_WRONLY | O_CLOEXEC), "f");
    int dir = must(open(".", O_RDONLY | O_CLOEXEC), ".");
    say_mapped(l, "map for writing what is open for reading", map(reader, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED));
    say_mapped(l, "the same for oneself", map(reader, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE));
    say_mapped(l, "map what is open for writing only", map(writer, PAGE, PROT_READ, MAP_SHARED));
    say_mapped(l, "map nothing", map(reader, 0, PROT_READ, MAP_SHARED));
    say_mapped(l, "map a folder", map(dir, PAGE, PROT_READ, MAP_SHARED));
    char *p = map(reader, PAGE, PROT_READ, MAP_SHARED);
    say_mapped(l, "map for reading", p);
    if (p != NULL)
        say(l, "make that writable", mprotect(p, PAGE, PROT_READ | PROT_WRITE));
    (void)close(reader);
    (void)close(writer);
    (void)close(dir);
}

void posix_mmap(struct list *l)
{
    make_file("f", "hello, world");
    make_file("g", "0123456789");
    mmap_shared(l);
    mmap_private(l);
    mmap_refused(l);
}

/* ---- FIFOs, sockets, devices ---- */

static void special_fifo(struct list *l)
{
    char text[8] = "";
    say(l, "make a fifo", mkfifo("p", 0640));
    say_node(l, "what it is", "p");
    say(l, "make it again", mkfifo("p", 0640));
    say_closed(l, "open for writing while nobody reads", open("p", O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    int reader = say_opened(l, "open for reading", open("p", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    say(l, "read while nobody writes", read(reader, text, 4));
    int writer = say_opened(l, "open for writing", open("p", O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    say(l, "read while it is empty", read(reader, text, 4));
    say(l, "write", write(writer, "fifo", 4));
    say(l, "read", read(reader, text, 8));
    say_text(l, "what came", "%.4s", text);
    say(l, "seek", lseek(reader, 0, SEEK_SET));
    must(unlink("p"), "p");
    say(l, "write after it was removed", write(writer, "more", 4));
    say(l, "read after it was removed", read(reader, text, 8));
    (void)close(writer);
    say(l, "the end", read(reader, text, 8));
    (void)close(reader);
}

static void special_socket(struct list *l)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};
    int server = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    int client = must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    say(l, "bind a socket", bind(server, (const struct sockaddr *)&a, sizeof(a)));
    say_node(l, "what that is", "sock");
    say(l, "connect before it listens", connect(client, (const struct sockaddr *)&a, sizeof(a)));
    say(l, "listen", listen(server, 1));
    say(l, "connect", connect(client, (const struct sockaddr *)&a, sizeof(a)));
    say_closed(l, "open a socket's name", open("sock", O_RDWR | O_CLOEXEC));
    (void)close(client);
    (void)close(server);
    say(l, "the name stays", access("sock", F_OK));
    say(l, "remove it", unlink("sock"));
}

void posix_special(struct list *l)
{
    struct stat s;
    special_fifo(l);
    special_socket(l);
    say(l, "make a plain file by mknod", mknod("plain", S_IFREG | 0640, 0));
    say_node(l, "what it is then", "plain");
    say(l, "make a device", mknod("null", S_IFCHR | 0620, makedev(1, 3)));
    say_node(l, "what that is then", "null");
    if (lstat("null", &s) != 0)
        s = (struct stat){0};
    say_text(l, "its number", "%u:%u", major(s.st_rdev), minor(s.st_rdev));
    say(l, "make what does not exist", mknod("x", S_IFMT | 0644, 0));
    say(l, "make a folder by mknod", mknod("x", S_IFDIR | 0755, 0));
    say(l, "an ioctl of terminals on a file", isatty(must(open("plain", O_RDWR | O_CLOEXEC), "plain")) == 1 ? 1 : -1);
}
