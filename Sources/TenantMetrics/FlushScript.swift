/// The script that adds one chunk to the totals, once.
///
/// Needs Redis 5 or later, not as a cluster: the keys of a chunk are in many slots.
///
/// The first write is the flush key. A Redis that refuses writes (OOM, READONLY, MISCONF) refuses that one, and nothing is
/// half done; once it is taken, a script's other writes are not refused for these reasons. They go through `pcall`, so that
/// a key of a foreign type stops neither the rest of its tenant nor other tenants.
///
/// Answers `{applied, droppedEvents, droppedSeriesEvents, failedWrites, droppedDeliveries}`; `applied` is 0 for a chunk
/// that had been applied before, and the rest is then what was answered that time.
package enum FlushScript {
    package static let source = """
        local number, lifetime = tonumber(ARGV[1]), ARGV[2]
        local seriesLifetime, tenantsMax, typesMax = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
        local known = redis.pcall('GET', KEYS[1])
        if type(known) == 'string' then
          local last, events, series, writes, deliveries = string.match(known, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
          if last and tonumber(last) == number then
            return {0, tonumber(events), tonumber(series), tonumber(writes), tonumber(deliveries)}
          elseif last and tonumber(last) > number then
            return {0, 0, 0, 0, 0}
          end
        end
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        redis.call('SET', KEYS[1], ARGV[1] .. ' 0 0 0 0', 'EX', lifetime)

        local droppedEvents, droppedSeries, failedWrites, droppedDeliveries = 0, 0, 0, 0
        local k, a = 3, 7
        local function key() k = k + 1; return KEYS[k - 1] end
        local function text() a = a + 1; return ARGV[a - 1] end
        local function count() return tonumber(text()) end
        local function done(reply)
          if type(reply) == 'table' and reply.err then failedWrites = failedWrites + 1; return false end
          return true
        end
        local function add(hash, field, n) return done(redis.pcall('HINCRBY', hash, field, n)) end
        local function addAny(hash, field, n) return n == '0' or add(hash, field, n) end

        -- Whether the tenant is, or now becomes, one of those that are kept.
        local function admit(tenant, hash)
          local score = redis.pcall('ZSCORE', KEYS[2], tenant)
          if type(score) == 'string' then return true end
          if not score then
            if redis.call('ZCARD', KEYS[2]) >= tenantsMax then return false end
            return done(redis.pcall('ZADD', KEYS[2], 0, tenant))
          end
          failedWrites = failedWrites + 1
          return redis.call('EXISTS', hash) == 1
        end

        -- Adds to a type; answers what has to go to the other types instead.
        local function addType(types, name, n)
          local other = 0
          local score = redis.pcall('ZSCORE', types, name)
          if type(score) == 'table' then failedWrites = failedWrites + 1; return tonumber(n) end
          if not score then
            for _ = typesMax, redis.call('ZCARD', types) do
              local smallest = redis.call('ZPOPMIN', types)
              other = other + math.max(tonumber(smallest[2]), 0)
            end
          end
          if not done(redis.pcall('ZINCRBY', types, n, name)) then other = other + tonumber(n) end
          return other
        end

        local function setLastTime(hash, last)
          if last == 0 then return end
          if last > now then last = now end
          local stored = redis.pcall('HGET', hash, 'lastEventTime')
          stored = type(stored) == 'string' and tonumber(stored) or 0
          if not (stored >= last and stored <= now) then
            done(redis.pcall('HSET', hash, 'lastEventTime', string.format('%.0f', last)))
          end
        end

        local function addTotals(admitted, hash, types)
          local accepted, rejected, last = text(), count(), count()
          local duplicates, bytes, other = text(), text(), count()
          local kept = admitted and add(hash, 'accepted', accepted)
          if kept then
            addAny(hash, 'duplicates', duplicates)
            addAny(hash, 'bytes', bytes)
          else
            droppedEvents = droppedEvents + tonumber(accepted) + rejected
          end
          for _ = 1, count() do
            local field, n = text(), text()
            if kept and not add(hash, field, n) then droppedEvents = droppedEvents + tonumber(n) end
          end
          for _ = 1, count() do
            local name, n = text(), text()
            if kept then other = other + addType(types, name, n) end
          end
          for _ = 1, count() do
            local field, n = text(), text()
            if not (kept and add(hash, field, n)) then droppedDeliveries = droppedDeliveries + tonumber(n) end
          end
          if kept then
            addAny(hash, 'otherTypes', string.format('%.0f', other))
            setLastTime(hash, last)
          end
        end

        local function addHour(admitted, hour)
          local wrote = false
          for _ = 1, count() do
            local field, events, n = text(), text(), text()
            if admitted and add(hour, field, n) then
              wrote = true
            elseif events == '1' then
              droppedSeries = droppedSeries + tonumber(n)
            end
          end
          if wrote then redis.call('EXPIRE', hour, seriesLifetime) end
        end

        for _ = 1, tonumber(ARGV[6]) do
          local tenant, hash, types = text(), key(), key()
          local admitted = admit(tenant, hash)
          if text() == '1' then addTotals(admitted, hash, types) end
          for _ = 1, count() do addHour(admitted, key()) end
        end
        if droppedEvents + droppedSeries + failedWrites + droppedDeliveries > 0 then
          local dropped = string.format('%.0f %.0f %.0f', droppedEvents, droppedSeries, failedWrites)
          local outcome = string.format('%s %s %.0f', ARGV[1], dropped, droppedDeliveries)
          redis.call('SET', KEYS[1], outcome, 'EX', lifetime)
        end
        return {1, droppedEvents, droppedSeries, failedWrites, droppedDeliveries}
        """
}
