/* A disk in trouble: what DISK_TROUBLE says happens to writes and syncs of files below DISK_FOLDER.
 *
 *   slow N        each sync takes N milliseconds longer
 *   writes E      writes and cuts fail with errno E
 *   syncs E       syncs fail with errno E, and what they should have brought to disk stays in the cache
 *
 * Anything else, or no file: the disk is well. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *folder;
static const char *trouble;

__attribute__((constructor)) static void begin(void) {
    folder = getenv("DISK_FOLDER");
    trouble = getenv("DISK_TROUBLE");
}

static int watched(int fd) {
    struct stat st;
    char link[64], path[4096];
    if (!folder || !trouble || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* The number behind `word` if that is the trouble, else 0. */
static int now(const char *word) {
    char said[64] = {0};
    int fd = syscall(SYS_openat, AT_FDCWD, trouble, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = syscall(SYS_read, fd, said, sizeof said - 1);
    syscall(SYS_close, fd);
    size_t length = strlen(word);
    return n > 0 && strncmp(said, word, length) == 0 ? atoi(said + length) : 0;
}

static int refused(int fd, const char *word) {
    if (!watched(fd)) return 0;
    int cause = now(word);
    if (cause) errno = cause;
    return cause;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return refused(fd, "writes ") ? -1 : syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return refused(fd, "writes ") ? -1 : syscall(SYS_write, fd, bytes, length);
}

int ftruncate64(int fd, off64_t length) {
    return refused(fd, "writes ") ? -1 : syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int sync_by(int fd, long call) {
    if (!watched(fd)) return syscall(call, fd);
    int pause = now("slow ");
    if (pause) {
        struct timespec time = {pause / 1000, pause % 1000 * 1000000L};
        nanosleep(&time, NULL);
    }
    return refused(fd, "syncs ") ? -1 : syscall(call, fd);
}

int fsync(int fd) { return sync_by(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_by(fd, SYS_fdatasync); }
