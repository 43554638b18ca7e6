"""Publishes events with the CloudEvents SDK for Python and prints, one JSON object on a line, what it meant.

Usage: publish_with_sdk.py GATEWAY_URL RUN_ID
"""

import base64
import json
import sys
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from urllib.parse import urlsplit

from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

JSON = "application/json"
EVENTS = [
    ({"type": "com.example.sdk.object", "datacontenttype": JSON}, {"message": "Grüße 😀", "n": 1.5, "list": [None, True]}),
    ({"type": "com.example.sdk.empty", "datacontenttype": JSON}, {}),
    ({"type": "com.example.sdk.text", "datacontenttype": "text/plain; charset=utf-8"}, "plain – text"),
    ({"type": "com.example.sdk.bytes", "datacontenttype": "application/octet-stream"}, bytes(range(256))),
    ({"type": "com.example.sdk.nothing"}, None),
    (
        {
            "type": "com.example.sdk.attributes",
            "datacontenttype": JSON,
            "dataschema": "https://example.com/schema?v=1",
            "subject": 'spaces "quotes" 100% 😀 and, commas',
            "time": datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "myextension": "x" * 300,
            "priority": "high",
        },
        {"a": 1},
    ),
]


def canonical(value):
    return value.isoformat() if isinstance(value, datetime) else str(value)


def expected_data(attributes, data):
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    return json.dumps(data).encode() if attributes.get("datacontenttype") == JSON else data.encode()


def post(connection, path, message):
    connection.request("POST", path, body=message.body, headers=dict(message.headers))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def main(url, run):
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname, parts.port, timeout=20)
    for mode, encode in (("binary", http.to_binary_event), ("structured", http.to_structured_event)):
        for number, (attributes, data) in enumerate(EVENTS):
            attributes = {"id": f"{mode}-{number}-{run}", "source": "/sdk/python", "specversion": "1.0", **attributes}
            event = CloudEvent(attributes=attributes, data=data)
            status, answer = post(connection, parts.path, encode(event))
            line = {
                "name": f"{mode} {attributes['type']}",
                "status": status,
                "answer": answer,
                "attributes": {name: canonical(value) for name, value in event.get_attributes().items()},
                "data_b64": base64.b64encode(expected_data(attributes, data)).decode(),
                "data_compare": "json" if attributes.get("datacontenttype") == JSON else "bytes",
                "implied": {"datacontenttype": JSON},
            }
            print(json.dumps(line))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
