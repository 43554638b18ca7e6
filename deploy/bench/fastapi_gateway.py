"""The usual way to put HTTP in front of JetStream: FastAPI and nats-py. What Sluice is compared with.

It takes CloudEvents in all three HTTP modes, checks what the specification requires, publishes each with a Nats-Msg-Id
and answers 202 after the PubAck. The stream must exist. Run by uvicorn; NATS_URL and STREAM_NAME are read.
"""

import asyncio
import json
import os
from contextlib import asynccontextmanager

import nats
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

STREAM = os.environ.get("STREAM_NAME", "SLUICE_EVENTS")
REQUIRED = ("specversion", "id", "source", "type")


@asynccontextmanager
async def lifespan(app: FastAPI):
    connection = await nats.connect(os.environ.get("NATS_URL", "nats://localhost:4222"))
    app.state.jetstream = connection.jetstream()
    yield
    await connection.drain()


app = FastAPI(lifespan=lifespan)


def check(event: dict) -> dict:
    missing = [name for name in REQUIRED if not isinstance(event.get(name), str) or not event[name]]
    if missing:
        raise HTTPException(400, f"required attributes are missing: {', '.join(missing)}")
    if event["specversion"] != "1.0":
        raise HTTPException(400, "specversion must be 1.0")
    return event


async def publish(event: dict) -> dict:
    ack = await app.state.jetstream.publish(
        f"ce.default.normal.{event['type']}",
        json.dumps(event).encode(),
        stream=STREAM,
        headers={
            "Content-Type": "application/cloudevents+json",
            "Nats-Msg-Id": f"{event['source']}\x1f{event['id']}".encode().hex(),
        },
    )
    return {
        "id": event["id"], "source": event["source"], "stream": ack.stream, "sequence": ack.seq,
        "duplicate": bool(ack.duplicate),
    }


@app.get("/health/ready")
async def ready() -> dict:
    return {"status": "healthy"}


@app.post("/v1/events", status_code=202)
async def events(request: Request):
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    try:
        if content_type.startswith("application/cloudevents-batch"):
            batch = [check(event) for event in json.loads(body)]
            results = await asyncio.gather(*(publish(event) for event in batch))
            return JSONResponse({"accepted": len(results), "results": results}, 202)
        if content_type.startswith("application/cloudevents"):
            return JSONResponse(await publish(check(json.loads(body))), 202)
        event = {name[3:]: value for name, value in request.headers.items() if name.startswith("ce-")}
        event["datacontenttype"] = content_type
        event["data"] = json.loads(body)
        return JSONResponse(await publish(check(event)), 202)
    except (ValueError, TypeError, AttributeError) as error:
        raise HTTPException(400, f"not an event: {error}") from error
    except (nats.errors.Error, asyncio.TimeoutError) as error:
        raise HTTPException(503, f"not stored: {error}") from error
