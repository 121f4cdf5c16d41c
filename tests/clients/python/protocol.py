"""The line protocol between the suite and the adapter of one client.

An adapter is a process that drives one stock client. It reads one JSON request per line and
answers each with one line: `{"ok": result}`, `{"code": n}` when the client reports Kafka's error
code n or an error of its own that stands for it, `{"unsupported": why}` when the client lacks the
feature, `{"error": text}` otherwise.

Operations, the same in every language:
  create      topic, partitions, replication, configs
  delete      topic
  partitions  topic                     how many, 0 when the topic does not exist
  configs     topic                     {name: value}
  alter       kind, name, changes, replacing
                                        kind: topic or group; changes: {config: value}, null for
                                        its default; replacing: whether all that is not named goes
                                        back to its default, too, and then nothing is null
  grow        topic, partitions         to so many partitions
  offset      topic, partition, at      at: earliest, latest, max_timestamp or milliseconds;
                                        -1 when no record is that late
  epoch       topic, partition          the present leader epoch, of librdkafka's alone
  produce     topic, records, codec, acks, idempotent, max_bytes
                                        the offsets acknowledged, null when the client hides them
  consume     topic, start, count, reset, fetch_bytes, wait_ms
                                        start: [[partition, offset]], -2 earliest, -1 latest;
                                        the records read at `count` of them or after wait_ms
  ask         api, version, fields      one request as it is, of kafka-python's alone; the answer

  guess                                 what the client takes the broker for, if it does
  ask         key, version, body        of `go-clients wire`: one request, {field: value}; the
                                        response, or "closed" for the end of the connection

Consumer groups, for clients that have them. A member reads from the earliest offset where none is
committed, commits when told and no sooner, and is named by the suite, which is its client id, too.
A place is [topic, partition], an offset [topic, partition, offset, metadata, leader epoch].
  group_open      id, group, topics, pattern, protocol, assignor, instance, session_ms
                                        protocol: classic or consumer; pattern instead of topics
  group_poll      ids, ms               for each id {"records": [[topic, partition, offset]],
                                        "held": places, "events": [[what, places]]}; what:
                                        assigned, revoked or lost since the last poll
  group_commit    id, offsets           null for all that was polled
  group_close     id
  group_list                            {group: state}, a state null when the client hides it
  group_describe  group                 {"state", "members": [[instance, client id, places]]}
  group_offsets   group                 offsets, null in them for what the client hides
  group_alter     group, offsets
  group_forget    group, places         deletes their offsets
  group_delete    group
  group_configs   group                 {name: [value, source]}, a source in Kafka's words:
                                        DYNAMIC_GROUP_CONFIG, DEFAULT_CONFIG and so on
"""

import asyncio
import base64
import dataclasses
import inspect
import json
import os
import sys


@dataclasses.dataclass
class Record:
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: list = dataclasses.field(default_factory=list)
    timestamp: int | None = None
    offset: int | None = None

    def to_json(self):
        headers = [[name, encode(value)] for name, value in self.headers]
        return vars(self) | {
            "key": encode(self.key), "value": encode(self.value), "headers": headers}

    @staticmethod
    def from_json(fields):
        headers = [(name, decode(value)) for name, value in fields.get("headers") or []]
        return Record(**fields | {
            "key": decode(fields["key"]), "value": decode(fields["value"]), "headers": headers})


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


class KafkaFailure(Exception):
    """The client reported Kafka's error code `code`."""

    def __init__(self, code, message=""):
        super().__init__(f"Kafka error {code}: {message}")
        self.code = code


class Unsupported(Exception):
    """The client has no such feature."""


def serve(adapter, code_of):
    """Answers requests with the methods of `adapter`; `code_of(error)` finds Kafka's code."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a client that prints must not break the protocol
    loop = asyncio.new_event_loop()
    for line in sys.stdin:
        reply = answer(adapter, json.loads(line), code_of, loop)
        print(json.dumps(reply), file=replies, flush=True)


def answer(adapter, request, code_of, loop):
    try:
        if "records" in request:
            request["records"] = [Record.from_json(fields) for fields in request["records"]]
        result = getattr(adapter, request.pop("op"))(**request)
        if inspect.isawaitable(result):
            result = loop.run_until_complete(result)
        if request.get("start"):
            result = [record.to_json() for record in result]
        return {"ok": result}
    except Unsupported as error:
        return {"unsupported": str(error)}
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        code = code_of(error)
        return {"error": text} if code is None else {"code": code, "message": text}
