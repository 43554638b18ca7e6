// The hazards of hiredis 0.14.1 that touch this target, and what is done about each. The numbers are those of the project's
// list of hazards; tests name the number they cover. There is no code here.
//
// H-01  Overflow by the count of an array: Debian's package is patched. `ReaderGuard` refuses counts that no allowed reply
//       could hold before hiredis allocates for them: unpatched arithmetic is never reached, and 13 bytes do not make it
//       allocate 16 GiB or walk over 2^31 pointers. Tests: HostileServerTests.
// H-02  Crash of the reader on a failed allocation: fixed upstream in 0.14.1; malformed counts and lengths of every kind end
//       the connection. Tests: HostileServerTests.
// H-03  Unbounded nesting: this version's reader stops at seven arrays, and knows no RESP3; `RedisReply` is made from what it
//       read, and is as deep at most. Scripts must keep their replies shallow. Tests: HostileServerTests.
// H-04  `write` raises SIGPIPE: hiredis gives no way to MSG_NOSIGNAL. The signal is blocked in the client's thread, the only
//       one that writes, where it stays pending and ends with the thread. Ignoring it instead would change a disposition that
//       belongs to the program, and that its child processes inherit. Tests: ThreadTests.
// H-05  Asserts on spontaneous replies abort the process: they are in async.c, which is not used, nor is pub/sub. A reply to
//       nothing ends the connection, since the next one would be taken for another's. A reply that a server sends just while
//       a command leaves can't be told from the answer: RESP2 has no numbers. Tests: HostileServerTests.
// H-06  No total timeouts: hiredis' count each read anew. The context is non-blocking, the waiting is our own `poll` with
//       deadlines on the monotonic clock for a batch as a whole, and connecting and looking names up are our own too. After
//       any error the context is freed. Tests: HostileServerTests (trickling), RecoveryTests.
// H-07  Leaks, uninitialised reads and overflows that 1.0.0 fixed: replies are always asked for with a pointer and freed at
//       once, no blocking timeouts, no asynchronous unix sockets, buffers bounded far below 2 GiB. Tests: ThreadTests.
// H-08  No cap on replies: what arrives for a batch is counted, partial replies included, and the connection ends at
//       `replyBytesMax`; the elements of one array are bounded by the same. Tests: HostileServerTests.
// H-09  Format strings: only `redisAppendCommandArgv` is called, with lengths. Tests: RealServerTests (S-36).
// H-10  A context is for one thread: it never leaves the client's. Tests: RealServerTests.
