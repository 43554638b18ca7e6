#include <hiredis/hiredis.h>

/// The count of an array's elements as `redisReplyObjectFunctions.createArray` takes it: `int` until hiredis 1.0.
#if HIREDIS_MAJOR >= 1
typedef size_t RedisElementCount;
#else
typedef int RedisElementCount;
#endif
