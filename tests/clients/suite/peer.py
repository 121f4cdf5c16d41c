"""A client as the suite sees it: an adapter process that answers JSON lines."""

import json
import os
import selectors
import subprocess
import time

from protocol import KafkaFailure, Record, Unsupported

ANSWER_S = 90
LEADER_S = 10
NO_LEADER = (5, 6, 75)  # LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, UNKNOWN_LEADER_EPOCH
MIB = 1 << 20


class Peer:
    """Started by its first request, and again after it hung or died."""

    def __init__(self, name, command, log, environment, scenarios=("",), creates_topics=True):
        self.name, self.command, self.log, self.environment = name, command, log, environment
        self.scenarios, self.creates_topics = scenarios, creates_topics
        self.helper = None  # a second client, for what this one does not have or must not know
        self.process = None

    def create(self, topic, partitions=1, replication=1, **configs):
        named = {name.replace("_", "."): value for name, value in configs.items()}
        self.call("create", topic=topic, partitions=partitions, replication=replication,
                  configs=named)

    def delete(self, topic):
        self.call("delete", topic=topic)

    def partitions(self, topic):
        return self.call("partitions", topic=topic)

    def configs(self, name, kind="topic"):
        return self.call("configs", kind=kind, name=name)

    def offset(self, topic, at, partition=0):
        """Asks again for a while when the partition has no leader yet."""
        deadline = time.monotonic() + LEADER_S
        while True:
            try:
                return self.call("offset", topic=topic, partition=partition, at=at)
            except KafkaFailure as failure:
                if failure.code not in NO_LEADER or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, max_bytes=MIB):
        return self.call(
            "produce", topic=topic, records=[record.to_json() for record in records], codec=codec,
            acks=acks, idempotent=idempotent, max_bytes=max_bytes)

    def consume(self, topic, start, count, **settings):
        """Reads from offset `start` of partition 0, or from {partition: offset}."""
        self.begin_consume(topic, start, count, **settings)
        return self.end_consume()

    def begin_consume(self, topic, start, count, reset="error", fetch_bytes=MIB, wait_ms=20_000):
        places = start if isinstance(start, dict) else {0: start}
        self.send("consume", topic=topic, start=list(places.items()), count=count, reset=reset,
                  fetch_bytes=fetch_bytes, wait_ms=wait_ms)

    def end_consume(self):
        return [Record.from_json(fields) for fields in self.receive(ANSWER_S)]

    def call(self, op, wait_s=ANSWER_S, **fields):
        self.send(op, **fields)
        return self.receive(wait_s)

    def send(self, op, **fields):
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=open(self.log, "ab"), env=self.environment)
        self.process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, wait_s):
        answer = json.loads(self.line(time.monotonic() + wait_s))
        if "code" in answer:
            raise KafkaFailure(answer["code"], answer.get("message", ""))
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    def line(self, deadline):
        pieces, output = [], self.process.stdout.fileno()
        with selectors.DefaultSelector() as ready:
            ready.register(output, selectors.EVENT_READ)
            while not (pieces and pieces[-1].endswith(b"\n")):
                if not ready.select(max(0, deadline - time.monotonic())):
                    self.stop()
                    raise TimeoutError(f"{self.name} gave no answer in time")
                pieces.append(os.read(output, MIB))
                if not pieces[-1]:
                    self.stop()
                    raise RuntimeError(f"{self.name} ended; see {self.log}")
        return b"".join(pieces)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
