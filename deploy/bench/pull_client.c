/* Pulls from a subscription of the gateway and acknowledges everything, over and over, on several connections with a
 * thread each; prints one line of JSON. It looks for lock tokens only, so that it costs less than the gateway.
 *
 * usage: pull_client PORT SUBSCRIPTION EVENTS [CONNECTIONS] [BATCH]
 * Ends when EVENTS are acknowledged, or when nothing came for 10 seconds.
 * Build: cc -O2 -o pull_client pull_client.c -lpthread
 */
#define _GNU_SOURCE
#include "common.h"
#include "http_client.h"
#include <pthread.h>
#include <stdatomic.h>

enum { token_max = 1024 };

static long port, events, batch = 100;
static const char *subscription;
static atomic_long acknowledged, lost, received, empty_answers;
static _Atomic int64_t last_progress;

struct buffer {
    char *text;
    size_t size, capacity;
};

static void append(struct buffer *buffer, const char *text, size_t size) {
    while (buffer->size + size > buffer->capacity) {
        buffer->capacity = buffer->capacity ? 2 * buffer->capacity : 1 << 16;
        buffer->text = realloc(buffer->text, buffer->capacity);
        if (buffer->text == NULL) fail("pull_client", "out of memory");
    }
    memcpy(buffer->text + buffer->size, text, size);
    buffer->size += size;
}

/* Sends a request and waits for its answer, which must be 200. */
static struct answer call(struct http *http, struct buffer *request, const char *verb, const struct buffer *body) {
    char head[512];
    const int size = snprintf(head, sizeof head,
                              "POST /v1/subscriptions/%s:%s HTTP/1.1\r\nHost: bench\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                              subscription, verb, body->size);
    request->size = 0;
    append(request, head, (size_t)size);
    append(request, body->text, body->size);
    http_send(http, request->text, request->size);
    struct answer answer;
    while (!http_answer(http, &answer)) http_read(http);
    if (answer.status != 200) {
        fprintf(stderr, ":%s was answered %d: %.*s\n", verb, answer.status, (int)answer.size, answer.body);
        exit(1);
    }
    return answer;
}

/* The lock tokens of an answer, as the body of an acknowledgement. Returns how many. */
static long collect_tokens(const struct answer *answer, struct buffer *body) {
    static const char mark[] = "\"lockToken\":\"";
    const char *at = answer->body, *end = answer->body + answer->size;
    long count = 0;
    body->size = 0;
    append(body, "{\"lockTokens\":[", 15);
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL) {
        at += sizeof mark - 1;
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL || quote - at > token_max) fail("receive", "a lock token without an end");
        append(body, count == 0 ? "\"" : ",\"", count == 0 ? 1 : 2);
        append(body, at, (size_t)(quote + 1 - at));
        count++;
        at = quote;
    }
    append(body, "]}", 2);
    return count;
}

/* How many tokens of an acknowledgement succeeded: the strings of `succeededLockTokens`. */
static long count_succeeded(const struct answer *answer) {
    static const char mark[] = "\"succeededLockTokens\":[";
    const char *at = memmem(answer->body, answer->size, mark, sizeof mark - 1);
    if (at == NULL) fail("acknowledge", "an answer without succeededLockTokens");
    const char *end = memchr(at + sizeof mark - 1, ']', (size_t)(answer->body + answer->size - at) - (sizeof mark - 1));
    if (end == NULL) fail("acknowledge", "a list without an end");
    long quotes = 0;
    for (at += sizeof mark - 1; at < end && (at = memchr(at, '"', (size_t)(end - at))) != NULL; at++) quotes++;
    return quotes / 2;
}

static void *run(void *closure) {
    (void)closure;
    struct http http;
    struct buffer request = {0}, body = {0};
    const struct buffer nothing = {.text = ""};
    char receive[96];
    snprintf(receive, sizeof receive, "receive?maxEvents=%ld&maxWaitTime=1", batch);
    http_connect(&http, port);
    while (atomic_load(&acknowledged) < events && monotonic_ns() - atomic_load(&last_progress) < 10000000000) {
        struct answer answer = call(&http, &request, receive, &nothing);
        const long tokens = collect_tokens(&answer, &body);
        http_taken(&http, &answer);
        if (tokens == 0) {
            atomic_fetch_add(&empty_answers, 1);
            continue;
        }
        atomic_fetch_add(&received, tokens);
        answer = call(&http, &request, "acknowledge", &body);
        const long succeeded = count_succeeded(&answer);
        http_taken(&http, &answer);
        atomic_fetch_add(&lost, tokens - succeeded);
        atomic_fetch_add(&acknowledged, succeeded);
        atomic_store(&last_progress, monotonic_ns());
    }
    close(http.socket);
    free(http.input);
    free(request.text);
    free(body.text);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: pull_client PORT SUBSCRIPTION EVENTS [CONNECTIONS] [BATCH]\n");
        return 64;
    }
    port = positive(argv[1], "PORT");
    subscription = argv[2];
    events = positive(argv[3], "EVENTS");
    const long connections = argc > 4 ? positive(argv[4], "CONNECTIONS") : 8;
    if (argc > 5) batch = positive(argv[5], "BATCH");

    const int64_t started = monotonic_ns();
    atomic_store(&last_progress, started);
    pthread_t *threads = calloc((size_t)connections, sizeof *threads);
    if (threads == NULL) fail("pull_client", "out of memory");
    for (long index = 0; index < connections; index++) {
        if (pthread_create(&threads[index], NULL, run, NULL) != 0) fail("pull_client", "cannot start a thread");
    }
    for (long index = 0; index < connections; index++) pthread_join(threads[index], NULL);
    /* A last answer may have waited for events that never came: the end is the last acknowledgement. */
    const double took = (double)(atomic_load(&last_progress) - started) / 1e9;
    printf("{\"events\":%ld,\"received\":%ld,\"failed\":%ld,\"empty\":%ld,\"seconds\":%.3f,\"events_per_s\":%.0f,"
           "\"maxrss_kib\":%ld}\n",
           atomic_load(&acknowledged), atomic_load(&received), atomic_load(&lost), atomic_load(&empty_answers), took,
           (double)atomic_load(&acknowledged) / (took > 0 ? took : 1), max_rss_kib());
    free(threads);
    return atomic_load(&acknowledged) >= events ? 0 : 1;
}
