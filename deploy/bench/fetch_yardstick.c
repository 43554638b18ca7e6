/* What JetStream itself delivers: pulls every message of a stream through cnats, acknowledges each with confirmation,
 * and prints one line of JSON. No HTTP, no parsing, no filter: the yardstick for pulling and settling.
 *
 * usage: fetch_yardstick URL STREAM CONSUMER EVENTS [BATCH] [REQUESTS] [UNCONFIRMED]
 * The pull consumer must exist, with explicit acknowledgement. BATCH messages are asked for by one request (500), and
 * REQUESTS requests stand at a time (2). At most UNCONFIRMED acknowledgements wait for their confirmation (4096).
 * Requests have an inbox of their own: natsSubscription_Fetch of libnats 3.4.1 writes past its list when messages of an
 * earlier request are left. Build: cc -O2 -o fetch_yardstick fetch_yardstick.c -lnats
 */
#include "common.h"
#include <nats/nats.h>
#include <pthread.h>

static const int64_t expires_ns = 5000000000;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long confirmed, refused, acknowledged, window;

static void check(const char *what, natsStatus status) {
    if (status != NATS_OK) fail(what, natsStatus_GetText(status));
}

/* The server confirms an acknowledgement with an empty message. Called by cnats on a thread of its own. */
static void on_confirmation(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                            void *closure) {
    (void)connection;
    (void)subscription;
    (void)closure;
    pthread_mutex_lock(&lock);
    if (natsMsg_GetDataLength(message) == 0 && !natsMsg_IsNoResponders(message)) confirmed++;
    else refused++;
    /* Who waits is woken at half a window: a wake-up for every confirmation would be most of the work. */
    const long waiting = acknowledged - confirmed - refused;
    if (waiting == window / 2 || waiting == 0) pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    natsMsg_Destroy(message);
}

static void ask(natsConnection *connection, const char *subject, const char *inbox, long batch) {
    char request[96];
    const int size =
        snprintf(request, sizeof request, "{\"batch\":%ld,\"expires\":%lld}", batch, (long long)expires_ns);
    check("pull", natsConnection_PublishRequest(connection, subject, inbox, request, size));
}

static void acknowledge(natsConnection *connection, natsMsg *message, const char *inbox) {
    pthread_mutex_lock(&lock);
    while (acknowledged - confirmed - refused >= window) pthread_cond_wait(&changed, &lock);
    acknowledged++;
    pthread_mutex_unlock(&lock);
    check("acknowledge", natsConnection_PublishRequest(connection, natsMsg_GetReply(message), inbox, "+ACK", 4));
}

/* Every message, each acknowledged when it comes. */
static void pull_all(natsConnection *connection, natsSubscription *messages, const char *subject, const char *inbox,
                     const char *confirmations, long events, long batch, long requests) {
    long taken = 0, asked = 0;
    while (taken < events) {
        while (asked < events && asked - taken <= (requests - 1) * batch) {
            ask(connection, subject, inbox, batch);
            asked += batch;
        }
        natsMsg *message = NULL;
        check("a message", natsSubscription_NextMsg(&message, messages, 10000));
        /* A message without a reply subject is a status of the request: its end, or an error. */
        if (natsMsg_GetReply(message) == NULL) {
            const char *status = NULL;
            natsMsgHeader_Get(message, "Status", &status);
            fail("the pull ended", status != NULL ? status : "without a status");
        }
        acknowledge(connection, message, confirmations);
        natsMsg_Destroy(message);
        taken++;
    }
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: fetch_yardstick URL STREAM CONSUMER EVENTS [BATCH] [REQUESTS] [UNCONFIRMED]\n");
        return 64;
    }
    const long events = positive(argv[4], "EVENTS"), batch = argc > 5 ? positive(argv[5], "BATCH") : 500;
    const long requests = argc > 6 ? positive(argv[6], "REQUESTS") : 2;
    window = argc > 7 ? positive(argv[7], "UNCONFIRMED") : 4096;
    char subject[256];
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", argv[2], argv[3]);

    natsConnection *connection = NULL;
    natsSubscription *messages = NULL, *confirmations = NULL;
    natsInbox *inbox = NULL, *confirmation_inbox = NULL;
    check("connect", natsConnection_ConnectTo(&connection, argv[1]));
    check("an inbox", natsInbox_Create(&inbox));
    check("an inbox", natsInbox_Create(&confirmation_inbox));
    check("subscribe", natsConnection_SubscribeSync(&messages, connection, inbox));
    check("subscribe", natsConnection_Subscribe(&confirmations, connection, confirmation_inbox, on_confirmation, NULL));
    check("limits", natsSubscription_SetPendingLimits(messages, -1, -1));
    check("limits", natsSubscription_SetPendingLimits(confirmations, -1, -1));
    check("flush", natsConnection_Flush(connection));

    const double started = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    pull_all(connection, messages, subject, inbox, confirmation_inbox, events, batch, requests);
    pthread_mutex_lock(&lock);
    while (confirmed + refused < acknowledged) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    const double took = now(CLOCK_MONOTONIC) - started, used = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;

    printf("{\"events\":%ld,\"failed\":%ld,\"seconds\":%.3f,\"events_per_s\":%.0f,\"cpu_s_per_100k\":%.3f,"
           "\"maxrss_kib\":%ld}\n",
           confirmed, refused, took, (double)confirmed / took, used * 1e5 / (double)events, max_rss_kib());
    natsSubscription_Destroy(messages);
    natsSubscription_Destroy(confirmations);
    natsInbox_Destroy(inbox);
    natsInbox_Destroy(confirmation_inbox);
    natsConnection_Destroy(connection);
    nats_Close();
    return refused == 0 && confirmed == events ? 0 : 1;
}
