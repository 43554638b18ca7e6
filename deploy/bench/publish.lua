-- What wrk sends: one of the three HTTP modes of CloudEvents, every event with an id of its own.
-- usage: wrk ... -s publish.lua URL -- MODE RUN DATA-FILE [BATCH-SIZE]
--   MODE is binary, traced (binary with a trace context), structured or batch; RUN makes the ids of this run unlike all others; DATA-FILE holds the data.
-- In the end it prints one line of JSON.

local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

local head, tail, between, size, count
count = 0

local function id_of(index)
    return string.format("%s-%02d-%012d", run, number, index)
end

local function event_parts(data)
    return '{"specversion":"1.0","id":"',
        '","source":"/bench/orders","type":"com.example.order.created","time":"2024-05-01T12:00:00Z",'
            .. '"datacontenttype":"application/json","data":' .. data .. "}"
end

local function request_head(content_type, length, more)
    return "POST /v1/events HTTP/1.1\r\nHost: " .. wrk.host .. "\r\nContent-Type: " .. content_type
        .. "\r\nContent-Length: " .. length .. "\r\n" .. more
end

function init(args)
    local mode, file
    mode, run, file = args[1], args[2], args[3]
    local input = assert(io.open(file, "rb"))
    local data = input:read("*a")
    input:close()
    local first, last = event_parts(data)
    local length = #first + #id_of(0) + #last
    if mode == "binary" or mode == "traced" then
        local trace = mode == "traced" and "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
            .. "tracestate: vendor=1\r\n" or ""
        head = request_head("application/json", #data, trace .. "ce-specversion: 1.0\r\nce-source: /bench/orders\r\n"
            .. "ce-type: com.example.order.created\r\nce-time: 2024-05-01T12:00:00Z\r\nce-id: ")
        tail = "\r\n\r\n" .. data
        size = 1
    elseif mode == "structured" then
        head = request_head("application/cloudevents+json", length, "\r\n") .. first
        tail = last
        size = 1
    else
        size = tonumber(args[4])
        head = request_head("application/cloudevents-batch+json", size * (length + 1) + 1, "\r\n") .. "[" .. first
        between = last .. "," .. first
        tail = last .. "]"
    end
end

function request()
    if size == 1 then
        count = count + 1
        return head .. id_of(count) .. tail
    end
    local ids = {}
    for index = 1, size do
        ids[index] = id_of(count + index)
    end
    count = count + size
    return head .. table.concat(ids, between) .. tail
end

function done(summary, latency, requests)
    local errors = summary.errors
    print(string.format(
        '{"requests":%d,"seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"non_2xx":%d,"socket_errors":%d}',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
