/* A disk cache that a power cut empties: notes what each write to a file below POWER_FOLDER replaces, and
 * which files were synced since, in POWER_LOG. sync_file_range is no sync: it reaches no drive's cache.
 * With POWER_LIES the syncs say that they worked and do nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct note {
    uint32_t kind; /* 1: a change to undo; 2: synced up to `number` */
    uint32_t path_length;
    uint64_t number;
    uint64_t offset;
    uint64_t length; /* the file's, before */
    uint64_t old_length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t number;
static int log_fd = -1;
static const char *folder;
static int lies;

__attribute__((constructor)) static void begin(void) {
    folder = getenv("POWER_FOLDER");
    lies = getenv("POWER_LIES") != NULL;
    const char *path = getenv("POWER_LOG");
    if (folder && path) log_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

/* The file's path if it is one to watch. */
static int watched(int fd, char *path, size_t size) {
    struct stat st;
    char link[64];
    if (log_fd < 0 || fd == log_fd || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = syscall(SYS_write, log_fd, at, length);
        if (n <= 0) abort();
        at += n;
        length -= n;
    }
}

/* Notes what lies at `offset` now. The file may be open for writing only, so it is opened anew. */
static void note_change(const char *path, uint64_t offset, uint64_t length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) { if (fd >= 0) close(fd); return; }
    struct note note = {1, strlen(path), ++number, offset, st.st_size, 0};
    if (offset < (uint64_t)st.st_size) {
        note.old_length = st.st_size - offset < length ? st.st_size - offset : length;
    }
    char *old = malloc(note.old_length + 1);
    if (!old || syscall(SYS_pread64, fd, old, note.old_length, offset) != (ssize_t)note.old_length) abort();
    put(&note, sizeof note);
    put(path, note.path_length);
    put(old, note.old_length);
    free(old);
    close(fd);
}

static ssize_t write_at(int fd, const void *bytes, size_t length, off64_t offset) {
    char path[4096];
    if (!watched(fd, path, sizeof path)) return syscall(SYS_pwrite64, fd, bytes, length, offset);
    pthread_mutex_lock(&lock);
    note_change(path, offset, length);
    ssize_t n = syscall(SYS_pwrite64, fd, bytes, length, offset);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return write_at(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return write_at(fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[4096];
    if (!watched(fd, path, sizeof path)) return syscall(SYS_write, fd, bytes, length);
    pthread_mutex_lock(&lock);
    off64_t at = lseek64(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    note_change(path, at, length);
    ssize_t n = syscall(SYS_write, fd, bytes, length);
    pthread_mutex_unlock(&lock);
    return n;
}

static int cut_to(int fd, off64_t length) {
    char path[4096];
    if (!watched(fd, path, sizeof path)) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    note_change(path, length, UINT64_MAX);
    int done = syscall(SYS_ftruncate, fd, length);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate64(int fd, off64_t length) { return cut_to(fd, length); }
int ftruncate(int fd, off_t length) { return cut_to(fd, length); }

static int synced(int fd, long call) {
    char path[4096];
    if (!watched(fd, path, sizeof path)) return syscall(call, fd);
    if (lies) return 0;
    pthread_mutex_lock(&lock);
    struct note note = {2, strlen(path), number, 0, 0, 0};
    pthread_mutex_unlock(&lock);
    int done = syscall(call, fd);
    if (done == 0) {
        pthread_mutex_lock(&lock);
        put(&note, sizeof note);
        put(path, note.path_length);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
