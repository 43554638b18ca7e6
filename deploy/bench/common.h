/* What the benchmark's C programs share: clocks, files, and ends that say why. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* Seconds of a clock. */
static inline double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Nanoseconds of the monotonic clock, which all processes of a machine share. */
static inline int64_t monotonic_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A whole file of at most 1 MiB, kept until the end of the process. */
static inline char *read_file(const char *path, int *size) {
    static char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path, "cannot be read");
    *size = (int)fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return bytes;
}

/* The most memory that this process ever held. */
static inline long max_rss_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* A positive number from an argument. */
static inline long positive(const char *text, const char *name) {
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*text == 0 || *end != 0 || value < 1) fail(name, "must be a number above 0");
    return value;
}

#endif
