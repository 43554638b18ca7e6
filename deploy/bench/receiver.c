/* A webhook receiver that costs as little as it can: answers 204 to every request and keeps the connection. One thread,
 * epoll, HTTP/1.1 with Content-Length.
 *
 * usage: receiver PORT
 * Requests are counted by the number after the last `/` of their path (below 4096, else and without one 0). A body that
 * holds "sent":NANOSECONDS of the monotonic clock has its delay remembered. `GET /stats` answers the counts as JSON,
 * `GET /reset` forgets them; neither is counted. Build: cc -O2 -o receiver receiver.c
 */
#define _GNU_SOURCE
#include "common.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { paths = 4096, delays_max = 1 << 20, body_max = 1 << 20, first_capacity = 16384 };

static const char no_content[] = "HTTP/1.1 204 No Content\r\n\r\n";
static const char bad_request[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

static long requests, bytes, connections_made, delays_count;
static long by_path[paths];
static int64_t first_ns, last_ns, delays[delays_max];

struct connection {
    int socket;
    size_t used, capacity;
    char *input;
};

static int compare(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double delay_ms(double share) {
    if (delays_count == 0) return 0;
    const long index = (long)(share * (double)delays_count);
    return (double)delays[index < delays_count ? index : delays_count - 1] / 1e6;
}

static int stats(char *text, size_t size) {
    long used = 0, fewest = -1, most = 0;
    for (int path = 0; path < paths; path++) {
        if (by_path[path] == 0) continue;
        used++;
        if (fewest < 0 || by_path[path] < fewest) fewest = by_path[path];
        if (by_path[path] > most) most = by_path[path];
    }
    qsort(delays, (size_t)delays_count, sizeof delays[0], compare);
    return snprintf(text, size,
                    "{\"requests\":%ld,\"bytes\":%ld,\"connections\":%ld,\"paths\":%ld,\"fewest\":%ld,\"most\":%ld,"
                    "\"first_ns\":%lld,\"last_ns\":%lld,\"delays\":%ld,"
                    "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}",
                    requests, bytes, connections_made, used, fewest < 0 ? 0 : fewest, most, (long long)first_ns,
                    (long long)last_ns, delays_count, delay_ms(0.5), delay_ms(0.99), delay_ms(1));
}

static void reset(void) {
    requests = bytes = delays_count = 0;
    first_ns = last_ns = 0;
    memset(by_path, 0, sizeof by_path);
}

static void count(const char *path, const char *path_end, const char *body, size_t size) {
    const int64_t arrived = monotonic_ns();
    const char *slash = memrchr(path, '/', (size_t)(path_end - path));
    const long number = slash != NULL ? strtol(slash + 1, NULL, 10) : 0;
    by_path[number > 0 && number < paths ? number : 0]++;
    if (requests++ == 0) first_ns = arrived;
    last_ns = arrived;
    bytes += (long)size;
    static const char mark[] = "\"sent\":";
    const char *sent = size > 0 ? memmem(body, size, mark, sizeof mark - 1) : NULL;
    if (sent != NULL && delays_count < delays_max) {
        delays[delays_count++] = arrived - strtoll(sent + sizeof mark - 1, NULL, 10);
    }
}

/* The value of Content-Length, 0 without one, -1 for what this receiver does not understand. */
static long content_length(const char *head, const char *end) {
    static const char length[] = "content-length:", coding[] = "transfer-encoding:";
    for (const char *line = memchr(head, '\n', (size_t)(end - head)); line != NULL && line < end;
         line = memchr(line, '\n', (size_t)(end - line))) {
        line++;
        if (strncasecmp(line, coding, sizeof coding - 1) == 0) return -1;
        if (strncasecmp(line, length, sizeof length - 1) != 0) continue;
        const long value = strtol(line + sizeof length - 1, NULL, 10);
        return value >= 0 && value <= body_max ? value : -1;
    }
    return 0;
}

static int send_all(int socket, const char *answer, size_t size) {
    while (size > 0) {
        const ssize_t sent = send(socket, answer, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        answer += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int answer_json(int socket, const char *json) {
    char answer[1024];
    const int size = snprintf(answer, sizeof answer,
                              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                              strlen(json), json);
    return send_all(socket, answer, (size_t)size);
}

/* One whole request, if there is one: its size, 0 if more must come, -1 if the connection must end. */
static long take_request(struct connection *connection, char *start, size_t available) {
    char *head_end = memmem(start, available, "\r\n\r\n", 4);
    if (head_end == NULL) return available < 65536 ? 0 : -1;
    const long length = content_length(start, head_end + 2);
    if (length < 0) {
        send_all(connection->socket, bad_request, sizeof bad_request - 1);
        return -1;
    }
    const size_t head = (size_t)(head_end + 4 - start), whole = head + (size_t)length;
    if (available < whole) return 0;
    const char *path = memchr(start, ' ', head);
    const char *path_end = path != NULL ? memchr(path + 1, ' ', (size_t)(head_end - path - 1)) : NULL;
    if (path_end == NULL) return -1;
    char json[512] = "{}";
    if (strncmp(path, " /stats ", 8) == 0) {
        stats(json, sizeof json);
        return answer_json(connection->socket, json) == 0 ? (long)whole : -1;
    }
    if (strncmp(path, " /reset ", 8) == 0) {
        reset();
        return answer_json(connection->socket, json) == 0 ? (long)whole : -1;
    }
    count(path + 1, path_end, start + head, (size_t)length);
    return send_all(connection->socket, no_content, sizeof no_content - 1) == 0 ? (long)whole : -1;
}

/* Reads what is there and answers all that is whole. Returns -1 at the end of the connection. */
static int serve(struct connection *connection) {
    if (connection->used == connection->capacity) {
        connection->capacity *= 2;
        connection->input = realloc(connection->input, connection->capacity);
        if (connection->input == NULL) fail("receiver", "out of memory");
    }
    const ssize_t got = recv(connection->socket, connection->input + connection->used,
                             connection->capacity - connection->used, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got <= 0) return -1;
    connection->used += (size_t)got;
    size_t taken = 0;
    while (taken < connection->used) {
        const long size = take_request(connection, connection->input + taken, connection->used - taken);
        if (size < 0) return -1;
        if (size == 0) break;
        taken += (size_t)size;
    }
    connection->used -= taken;
    memmove(connection->input, connection->input + taken, connection->used);
    return 0;
}

static void welcome(int listener, int poll) {
    const int on = 1, socket = accept(listener, NULL, NULL);
    if (socket < 0) return;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL) fail("receiver", "out of memory");
    *connection = (struct connection){.socket = socket, .capacity = first_capacity, .input = malloc(first_capacity)};
    if (connection->input == NULL) fail("receiver", "out of memory");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event) != 0) fail("receiver", strerror(errno));
    connections_made++;
}

static void end(struct connection *connection) {
    close(connection->socket);
    free(connection->input);
    free(connection);
}

static int listen_on(long port) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail("bind", strerror(errno));
    if (listen(listener, 4096) != 0) fail("listen", strerror(errno));
    return listener;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: receiver PORT\n");
        return 64;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    const int listener = listen_on(positive(argv[1], "PORT")), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) != 0) fail("receiver", strerror(errno));
    struct epoll_event events[256];
    for (;;) {
        const int ready = epoll_wait(poll, events, 256, -1);
        for (int index = 0; index < ready; index++) {
            struct connection *connection = events[index].data.ptr;
            if (connection == NULL) welcome(listener, poll);
            else if (serve(connection) != 0) end(connection);
        }
    }
}
