/* Just enough of an HTTP/1.1 client for the benchmark: requests on a kept connection, answers with Content-Length. */
#ifndef BENCH_HTTP_CLIENT_H
#define BENCH_HTTP_CLIENT_H

#include "common.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct answer {
    int status;
    char *body;
    size_t size;
};

struct http {
    int socket;
    char *input;
    size_t used, capacity;
};

static inline void http_connect(struct http *http, long port) {
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    http->socket = socket(AF_INET, SOCK_STREAM, 0);
    http->used = 0;
    http->capacity = 1 << 16;
    http->input = malloc(http->capacity);
    if (http->input == NULL) fail("http", "out of memory");
    if (connect(http->socket, (struct sockaddr *)&address, sizeof address) != 0) fail("connect", strerror(errno));
    setsockopt(http->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline void http_send(struct http *http, const char *request, size_t size) {
    while (size > 0) {
        const ssize_t sent = send(http->socket, request, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) fail("send", strerror(errno));
        request += sent;
        size -= (size_t)sent;
    }
}

/* Reads what is there, or waits for something. */
static inline void http_read(struct http *http) {
    if (http->used == http->capacity) {
        http->capacity *= 2;
        http->input = realloc(http->input, http->capacity);
        if (http->input == NULL) fail("http", "out of memory");
    }
    const ssize_t got = recv(http->socket, http->input + http->used, http->capacity - http->used, 0);
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) fail("receive", got == 0 ? "the gateway closed the connection" : strerror(errno));
    http->used += (size_t)got;
}

/* Whether a whole answer has been read; its body stays valid until `http_taken`. */
static inline int http_answer(struct http *http, struct answer *answer) {
    static const char length[] = "content-length:";
    char *head_end = memmem(http->input, http->used, "\r\n\r\n", 4);
    if (head_end == NULL) return 0;
    answer->size = 0;
    int found = 0;
    for (char *end = memchr(http->input, '\n', http->used); end < head_end && !found;) {
        char *line = end + 1;
        if (strncasecmp(line, length, sizeof length - 1) == 0) {
            answer->size = (size_t)strtol(line + sizeof length - 1, NULL, 10);
            found = 1;
        }
        end = memchr(line, '\n', (size_t)(http->input + http->used - line));
    }
    if (!found) fail("answer", "has no Content-Length");
    answer->status = atoi(http->input + strlen("HTTP/1.1 "));
    answer->body = head_end + 4;
    return http->used >= (size_t)(answer->body - http->input) + answer->size;
}

static inline void http_taken(struct http *http, const struct answer *answer) {
    const size_t whole = (size_t)(answer->body - http->input) + answer->size;
    http->used -= whole;
    memmove(http->input, http->input + whole, http->used);
}

#endif
