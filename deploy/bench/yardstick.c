/* What JetStream itself takes: publishes one payload over and over through cnats, asynchronously, with the headers
 * that Sluice sends, and prints one line of JSON. No HTTP, no parsing, one thread: the yardstick for Sluice.
 *
 * usage: yardstick URL STREAM SUBJECT PAYLOAD-FILE SECONDS [IN-FLIGHT]
 * The stream must exist. Build: cc -O2 -o yardstick yardstick.c -lnats
 */
#include "common.h"
#include <nats/nats.h>
#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long window, in_flight, stored, failed;

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
    /* The publisher is woken once per half window: a wake-up for every ack would be most of the work. */
    in_flight--;
    if (in_flight == window / 2 || in_flight == 0) pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    natsMsg_Destroy(message);
}

static void publish(jsCtx *js, const char *stream, const char *subject, const char *payload, int size, long number) {
    natsMsg *message = NULL;
    char identity[64];
    snprintf(identity, sizeof identity, "%08x%024lx", (unsigned)getpid(), (unsigned long)number);
    check("create a message", natsMsg_Create(&message, subject, NULL, payload, size));
    check("set a header", natsMsgHeader_Set(message, "Content-Type", "application/cloudevents+json"));
    check("set a header", natsMsgHeader_Set(message, "Nats-Msg-Id", identity));
    check("set a header", natsMsgHeader_Set(message, "Nats-Expected-Stream", stream));
    check("publish", js_PublishMsgAsync(js, &message, NULL));
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: yardstick URL STREAM SUBJECT PAYLOAD-FILE SECONDS [IN-FLIGHT]\n");
        return 64;
    }
    const char *stream = argv[2], *subject = argv[3];
    int size = 0;
    const char *payload = read_file(argv[4], &size);
    const double seconds = atof(argv[5]);
    window = argc > 6 ? atol(argv[6]) : 1024;
    if (seconds <= 0 || window <= 0) {
        fprintf(stderr, "yardstick: seconds and in-flight must be above 0\n");
        return 64;
    }

    natsConnection *connection = NULL;
    jsCtx *js = NULL;
    jsOptions options;
    check("connect", natsConnection_ConnectTo(&connection, argv[1]));
    check("options", jsOptions_Init(&options));
    options.PublishAsync.AckHandler = on_ack;
    check("JetStream", natsConnection_JetStream(&js, connection, &options));

    const double started = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    long sent = 0;
    while (now(CLOCK_MONOTONIC) - started < seconds) {
        pthread_mutex_lock(&lock);
        while (in_flight > window / 2) pthread_cond_wait(&changed, &lock);
        long room = window - in_flight;
        in_flight += room;
        pthread_mutex_unlock(&lock);
        for (; room > 0; room--) publish(js, stream, subject, payload, size, sent++);
    }
    pthread_mutex_lock(&lock);
    while (in_flight > 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    const double took = now(CLOCK_MONOTONIC) - started, used = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;

    printf("{\"events\":%ld,\"failed\":%ld,\"seconds\":%.3f,\"events_per_s\":%.0f,\"cpu_s_per_100k\":%.3f,"
           "\"maxrss_kib\":%ld}\n",
           stored, failed, took, (double)stored / took, used * 1e5 / (double)(stored > 0 ? stored : 1),
           max_rss_kib());
    jsCtx_Destroy(js);
    natsConnection_Destroy(connection);
    nats_Close();
    return failed == 0 && stored == sent ? 0 : 1;
}
