"""A client as the suite sees it: an adapter process that answers JSON lines."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import threading
import time

from protocol import KafkaFailure, Record, Unsupported

ANSWER_S = 60
LEADER_S = 10
NO_LEADER = (5, 6, 75)  # LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, UNKNOWN_LEADER_EPOCH
MIB = 1 << 20


class Peer:
    """Started by its first request, and again after it hung or died."""

    def __init__(self, name, command, log, environment, scenarios=("",), creates_topics=True,
                 groups=(), truncation=False):
        self.name, self.command, self.log, self.environment = name, command, log, environment
        self.scenarios, self.creates_topics = scenarios, creates_topics
        self.truncation = truncation  # whether a consumer says that records were replaced
        self.groups = groups  # the protocols of consumer groups that it has
        self.helper = None  # a second client, for what this one does not have or must not know
        self.process = None
        self.busy = threading.Lock()  # one that several threads use, they use by call() alone
        self.owed = False  # an answer that nobody has read yet

    def create(self, topic, partitions=1, replication=1, **configs):
        self.call("create", topic=topic, partitions=partitions, replication=replication,
                  configs=dotted(configs))

    def delete(self, topic):
        self.call("delete", topic=topic)

    def partitions(self, topic):
        return self.call("partitions", topic=topic)

    def configs(self, topic):
        return self.call("configs", topic=topic)

    def alter(self, name, kind="topic", replacing=False, **changes):
        """None puts a config back to its default."""
        if replacing:
            changes = {name: value for name, value in changes.items() if value is not None}
        self.call("alter", kind=kind, name=name, changes=dotted(changes), replacing=replacing)

    def grow(self, topic, partitions):
        self.call("grow", topic=topic, partitions=partitions)

    def offset(self, topic, at, partition=0):
        return self.led("offset", topic=topic, partition=partition, at=at)

    def led(self, op, **fields):
        """Asks again for a while when the partition has no leader yet."""
        deadline = time.monotonic() + LEADER_S
        while True:
            try:
                return self.call(op, **fields)
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
        return [Record.from_json(fields) for fields in self.receive()]

    def call(self, op, **fields):
        with self.busy:
            self.send(op, **fields)
            return self.receive()

    def twin(self):
        """The same client in a process of its own."""
        return Peer(self.name, self.command, self.log, self.environment)

    def send(self, op, **fields):
        if self.owed:
            self.stop()
        if self.process is None:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                    env=self.environment)
        self.owed = True
        self.process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self):
        answer = json.loads(self.line(time.monotonic() + ANSWER_S))
        self.owed = False
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
                    raise TimeoutError(f"{self.name} gave no answer in {ANSWER_S} s")
                pieces.append(os.read(output, MIB))
                if not pieces[-1]:
                    raise RuntimeError(f"{self.name} ended; see {self.log}")
        return b"".join(pieces)

    @contextlib.contextmanager
    def paused(self):
        """Its process stands still meanwhile."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            with contextlib.suppress(BrokenPipeError), self.process:
                pass  # leaving closes the pipes and waits
        self.process, self.owed = None, False


def dotted(configs):
    return {name.replace("_", "."): value for name, value in configs.items()}
