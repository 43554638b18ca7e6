/* What JetStream itself takes: publishes one payload over and over through cnats, asynchronously, with the headers
 * that Sluice sends, and prints one line of JSON. No HTTP, no parsing, one thread: the yardstick for Sluice.
 *
 * usage: yardstick URL STREAM SUBJECT PAYLOAD-FILE SECONDS [IN-FLIGHT]
 * The stream must exist. Build: cc -O2 -o yardstick yardstick.c -lnats
 */
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long window, in_flight, stored, failed;

static void fail(const char *what, natsStatus status) {
    fprintf(stderr, "yardstick: %s: %s\n", what, status == NATS_OK ? "failed" : natsStatus_GetText(status));
    exit(1);
}

static void check(const char *what, natsStatus status) {
    if (status != NATS_OK) fail(what, status);
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

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char *read_payload(const char *path, int *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path, NATS_OK);
    static char bytes[1 << 20];
    *size = (int)fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return bytes;
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
    const char *payload = read_payload(argv[4], &size);
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

    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"events\":%ld,\"failed\":%ld,\"seconds\":%.3f,\"events_per_s\":%.0f,\"cpu_s_per_100k\":%.3f,"
           "\"maxrss_kib\":%ld}\n",
           stored, failed, took, (double)stored / took, used * 1e5 / (double)(stored > 0 ? stored : 1),
           usage.ru_maxrss);
    jsCtx_Destroy(js);
    natsConnection_Destroy(connection);
    nats_Close();
    return failed == 0 && stored == sent ? 0 : 1;
}
