// The hazards of cnats 3.4.1 that touch this target, and what is done about each. The numbers are those of the project's
// list of hazards; tests name the number they cover. There is no code here.
//
// C-01  Subjects and header names are written as they are: `Subject`, `SubjectPrefix`, `StreamName` and `HeaderValue` have
//       no way around their checks, header names are a closed set. Tests: SubjectTests, AcknowledgementTests.
// C-02  A connection that ends with -ERR stays closed: every end of a link asks the connector for a new one; sizes are
//       checked by cnats against max_payload before anything is written. Tests: ConnectionTests, RealServerTests.
// C-03  The reconnect buffer sends later what was refused: cnats never reconnects here (AllowReconnect false, buffer 0); a
//       link's buffer dies with it, and what was in it is told apart from what had left. Tests: ConnectionTests.
// C-04  A blocked writer holds the connection's lock: in external event loop mode cnats only appends to a buffer and writes
//       to a non-blocking socket, from our I/O thread. Tests: ConnectionTests (zero window).
// C-05  Silence after INFO makes connect spin for ever: it runs on its own thread, and `ConnectWatchdog` shuts its socket
//       down at the deadline. Tests: ConnectionTests.
// C-06  Timeouts are not honoured while reconnecting: deadlines are ours, on the monotonic clock, kept by a thread that
//       never waits inside cnats. Tests: RecoveryTests (hung under load).
// C-07  `natsSubscription_Fetch` overflows: not used; pull requests are our own, each with a reply subject of its own below
//       the link's one subscription. Tests: DeliveryLaneTests, HostileDeliveryTests.
// C-08  Use after free of a destroyed subscription: the one subscription of a link lives as long as the link, and its
//       closure is released by the subscription's own completion callback.
// C-09  Error handlers may get a freed subscription: ours reads nothing.
// C-10  TLS is read and written by two threads: there is no TLS; a server that requires it is named. Tests: ConnectionTests.
// C-11  A long INFO line overflows cnats' buffer: the greeting is read by `ServerGreeting` first, at most 30,000 bytes. A
//       peer that greets differently the second time is outside what this can see: use a trusted path.
// C-12  Nonces are sometimes signed empty: only user and password are offered.
// C-13  An empty header value swallows the next header: `HeaderValue` is never empty; headers read back are advisory, and
//       those of deliveries are read by `HeaderBlock`, not by cnats. Tests: HostileDeliveryTests.
// C-14  Close may not flush: closing waits for the acknowledgements itself, then shuts the socket down; cnats' own flush on
//       close, which would wait for a PONG that only the same thread could read, is never entered. Tests: ConnectionTests.
// C-15  RetryOnFailedConnect is unreliable: not used; the connector loops. Tests: ConnectionTests.
// C-16  Ordered consumers: not used; a bucket's watch has its own pull consumer. Tests: KeyValueTests.
// C-17  Inbox names can be guessed: ours come from the system's random source. Tests: AcknowledgementTests.
// C-18  No retry on no-responders: two more tries 250 ms apart, with the same message id. Tests: AcknowledgementTests.
// C-19  Missing JetStream calls: administration is JSON on `$JS.API.>`. Tests: RealServerTests.
// C-20  A thread per subscription: there is one subscription per connection, one more where it pulls, and one per service.
// C-21  Tearing the library down crashes: it is never torn down.
// C-22  The libuv and libevent adapters race because several threads add and remove events: no adapter is used, and all
//       callbacks of an established link come from calls that the I/O thread makes itself.
