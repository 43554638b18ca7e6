/* Fills a stream with CloudEvents as the gateway stores them: structured, with the same subjects and headers, every
 * event with an id of its own. Prints one line of JSON.
 *
 * usage: fill URL STREAM RUN DATA-FILE EVENTS [TYPES]
 * RUN makes the ids unlike all others. With TYPES above 1 the events have the types com.example.order.t0 and so on, one
 * after the other; else com.example.order.created. Build: cc -O2 -o fill fill.c -lnats
 */
#include "common.h"
#include <nats/nats.h>
#include <pthread.h>

static const long window = 1024;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long in_flight, stored, failed;

static void check(const char *what, natsStatus status) {
    if (status != NATS_OK) fail(what, natsStatus_GetText(status));
}

/* Called by cnats on a thread of its own; the message is ours to destroy. */
static void on_ack(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *closure) {
    (void)js;
    (void)closure;
    pthread_mutex_lock(&lock);
    if (error == NULL && ack != NULL && ack->Sequence > 0 && !ack->Duplicate) stored++;
    else failed++;
    in_flight--;
    if (in_flight == window / 2 || in_flight == 0) pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    natsMsg_Destroy(message);
}

struct source {
    const char *stream, *run, *data;
    int data_size;
    long types;
};

static void publish(jsCtx *js, const struct source *source, long number) {
    static char event[(1 << 20) + 1024];
    char type[64] = "com.example.order.created", subject[128], identity[128];
    if (source->types > 1) snprintf(type, sizeof type, "com.example.order.t%ld", number % source->types);
    snprintf(subject, sizeof subject, "ce.default.normal.%s", type);
    snprintf(identity, sizeof identity, "%s-%012ld", source->run, number);
    int size = snprintf(event, 1024,
                        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/bench/orders\",\"type\":\"%s\","
                        "\"time\":\"2024-05-01T12:00:00Z\",\"datacontenttype\":\"application/json\",\"data\":",
                        identity, type);
    memcpy(event + size, source->data, (size_t)source->data_size);
    size += source->data_size;
    event[size++] = '}';
    natsMsg *message = NULL;
    check("create a message", natsMsg_Create(&message, subject, NULL, event, size));
    check("set a header", natsMsgHeader_Set(message, "Content-Type", "application/cloudevents+json"));
    check("set a header", natsMsgHeader_Set(message, "Nats-Msg-Id", identity));
    check("set a header", natsMsgHeader_Set(message, "Nats-Expected-Stream", source->stream));
    check("publish", js_PublishMsgAsync(js, &message, NULL));
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: fill URL STREAM RUN DATA-FILE EVENTS [TYPES]\n");
        return 64;
    }
    struct source source = {.stream = argv[2], .run = argv[3]};
    source.data = read_file(argv[4], &source.data_size);
    source.types = argc > 6 ? positive(argv[6], "TYPES") : 1;
    const long events = positive(argv[5], "EVENTS");

    natsConnection *connection = NULL;
    jsCtx *js = NULL;
    jsOptions options;
    check("connect", natsConnection_ConnectTo(&connection, argv[1]));
    check("options", jsOptions_Init(&options));
    options.PublishAsync.AckHandler = on_ack;
    check("JetStream", natsConnection_JetStream(&js, connection, &options));

    const double started = now(CLOCK_MONOTONIC);
    for (long sent = 0; sent < events;) {
        pthread_mutex_lock(&lock);
        while (in_flight > window / 2) pthread_cond_wait(&changed, &lock);
        long room = window - in_flight < events - sent ? window - in_flight : events - sent;
        in_flight += room;
        pthread_mutex_unlock(&lock);
        for (; room > 0; room--) publish(js, &source, sent++);
    }
    pthread_mutex_lock(&lock);
    while (in_flight > 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    const double took = now(CLOCK_MONOTONIC) - started;
    printf("{\"events\":%ld,\"failed\":%ld,\"seconds\":%.3f}\n", stored, failed, took);
    jsCtx_Destroy(js);
    natsConnection_Destroy(connection);
    nats_Close();
    return failed == 0 && stored == events ? 0 : 1;
}
