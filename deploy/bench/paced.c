/* Publishes binary events at a steady rate, whatever the answers do, each with the time it was meant to be sent in its
 * data: {"sent":NANOSECONDS of the monotonic clock,...}, 512 bytes. Prints one line of JSON.
 *
 * usage: paced PORT RUN RATE SECONDS [CONNECTIONS]
 * RUN makes the ids unlike all others. An event waits while all connections (16) wait for answers; its time is kept.
 * Build: cc -O2 -o paced paced.c
 */
#define _GNU_SOURCE
#include "common.h"
#include "http_client.h"
#include <poll.h>

enum { connections_max = 256, data_bytes = 512 };

static struct http connections[connections_max];
static int busy[connections_max];
static long accepted, failed;

static void publish(struct http *http, const char *run, long number, int64_t meant) {
    char data[data_bytes + 1], request[2048];
    const int used = snprintf(data, sizeof data, "{\"sent\":%lld,\"order\":%ld,\"note\":\"", (long long)meant, number);
    memset(data + used, 'x', (size_t)(data_bytes - used));
    memcpy(data + data_bytes - 2, "\"}", 3);
    const int size = snprintf(request, sizeof request,
                              "POST /v1/events HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                              "Content-Length: %d\r\nce-specversion: 1.0\r\nce-source: /bench/orders\r\n"
                              "ce-type: com.example.order.created\r\nce-id: %s-%012ld\r\n\r\n%s",
                              data_bytes, run, number, data);
    http_send(http, request, (size_t)size);
}

static void take_answer(long index) {
    struct answer answer;
    http_read(&connections[index]);
    if (!http_answer(&connections[index], &answer)) return;
    if (answer.status == 202) accepted++;
    else failed++;
    http_taken(&connections[index], &answer);
    busy[index] = 0;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: paced PORT RUN RATE SECONDS [CONNECTIONS]\n");
        return 64;
    }
    const long port = positive(argv[1], "PORT"), rate = positive(argv[3], "RATE");
    const long total = rate * positive(argv[4], "SECONDS"), wanted = argc > 5 ? positive(argv[5], "CONNECTIONS") : 16;
    const long count = wanted < connections_max ? wanted : connections_max;
    struct pollfd polled[connections_max];
    for (long index = 0; index < count; index++) {
        http_connect(&connections[index], port);
        polled[index] = (struct pollfd){.fd = connections[index].socket, .events = POLLIN};
    }
    const int64_t started = monotonic_ns();
    long sent = 0, next = 0;
    while (accepted + failed < total) {
        int64_t due = started + sent * (1000000000 / rate);
        for (long tried = 0; sent < total && due <= monotonic_ns() && tried < count; tried++) {
            next = (next + 1) % count;
            if (busy[next]) continue;
            busy[next] = 1;
            publish(&connections[next], argv[2], sent++, due);
            due = started + sent * (1000000000 / rate);
            tried = -1;
        }
        int64_t wait = sent < total ? due - monotonic_ns() : 1000000000;
        /* Late means that every connection is busy: an answer ends the wait. */
        if (wait <= 0) wait = 1000000;
        const struct timespec pause = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        if (ppoll(polled, (nfds_t)count, &pause, NULL) <= 0) continue;
        for (long index = 0; index < count; index++) {
            if (polled[index].revents != 0) take_answer(index);
        }
    }
    const double took = (double)(monotonic_ns() - started) / 1e9;
    printf("{\"accepted\":%ld,\"failed\":%ld,\"seconds\":%.3f}\n", accepted, failed, took);
    return failed == 0 ? 0 : 1;
}
