"""Leader epochs, request by request: every field that carries one, in every version, below, at and
above the present epoch, -1 and -2.

The log is written in four lives of the broker, the third of which appends nothing:
offsets 0..9, 10..14, none, 15..19.
"""

import itertools

from protocol import Record
from report import eventually, expect

NONE, UNKNOWN_TOPIC, OUT_OF_RANGE, FENCED, UNKNOWN_EPOCH = 0, 3, 1, 74, 75
NO_LEADER = {"leader_id": -1, "leader_epoch": -1}  # what a tagged field left out stands for
NOT_DIVERGING = {"epoch": -1, "end_offset": -1}
LIVES = (10, 5, 0, 5)
END = sum(LIVES)
TIME = 1_700_000_000_000


class Epochs:
    def __init__(self, broker, peer, prefix):
        self.broker, self.peer, self.topic = broker, peer, f"{prefix}-epochs"
        self.lives = []  # the epoch of each

    def fill(self):
        self.peer.create(self.topic)
        numbers = itertools.count()
        for life, count in enumerate(LIVES):
            if life > 0:
                self.broker.restart()
            self.await_leader()
            self.lives.append(self.metadata(12)["leader_epoch"])
            records = [Record(b"v", partition=0, timestamp=TIME + next(numbers))
                       for _ in range(count)]
            if records:
                self.peer.produce(self.topic, records)
        self.id = self.ask("Metadata", 12, topics=[{"name": self.topic}])["topics"][0]["topic_id"]

    def await_leader(self):
        def led():
            found = self.metadata(12)
            newer = found["leader_epoch"] > max(self.lives, default=-1)
            return newer and found["error_code"] == NONE
        eventually(led, True, "a leader in a new epoch")

    def run_all(self, report):
        report.test("epochs/fill", self.fill)
        for test in (self.offset_for_leader_epoch, self.current_of_offset_for_leader_epoch,
                     self.fetch_current, self.fetch_last, self.list_offsets,
                     self.list_offsets_current, self.told_by_metadata, self.commits):
            report.test(f"epochs/{test.__name__}", test)

    def ask(self, api, version, **fields):
        return self.peer.call("ask", api=api, version=version, fields=fields)

    def metadata(self, version):
        topic = {"name": self.topic}
        return self.ask("Metadata", version, topics=[topic])["topics"][0]["partitions"][0]

    def currents(self):
        """Each present epoch that a client may believe in, and what it is told."""
        now = self.lives[-1]
        return {-1: NONE, -2: FENCED, now - 1: FENCED, now: NONE, now + 1: UNKNOWN_EPOCH}

    def end_of(self, version, current, epoch, topic=None):
        asked = {"partition": 0, "current_leader_epoch": current, "leader_epoch": epoch}
        topics = [{"topic": topic or self.topic, "partitions": [asked]}]
        answer = self.ask("OffsetForLeaderEpoch", version, replica_id=-1, topics=topics)
        told = answer["topics"][0]["partitions"][0]
        return told["error_code"], told["leader_epoch"], told["end_offset"]

    def offset_for_leader_epoch(self):
        first, second, third, last = self.lives
        ends = {
            -2: (-2, 0), -1: (-1, -1), first: (first, 10), second - 1: (first, 10),
            second: (second, 15), third: (second, 15), last: (last, END), last + 1: (-1, -1)}
        for version, (epoch, end) in itertools.product((2, 3, 4), ends.items()):
            expect(self.end_of(version, -1, epoch), (NONE, *end), f"v{version}, epoch {epoch}")

    def current_of_offset_for_leader_epoch(self):
        for version, (current, code) in itertools.product((2, 3, 4), self.currents().items()):
            told = (NONE, self.lives[0], 10) if code == NONE else (code, -1, -1)
            found = self.end_of(version, current, self.lives[0])
            expect(found, told, f"v{version}, current {current}")
            found = self.end_of(version, current, self.lives[0], f"{self.topic}-missing")
            expect(found, (UNKNOWN_TOPIC, -1, -1), f"v{version}, no topic")

    def fetch(self, version, offset, current=-1, last=-1):
        asked = {"partition": 0, "current_leader_epoch": current, "fetch_offset": offset,
                 "last_fetched_epoch": last, "partition_max_bytes": 1 << 20}
        topics = [{"topic": self.topic, "topic_id": self.id, "partitions": [asked]}]
        return self.ask("Fetch", version, max_bytes=1 << 20, session_epoch=-1, topics=topics)

    def fetch_current(self):
        for version, (current, code) in itertools.product(range(4, 19), self.currents().items()):
            knows = version >= 9 and current >= 0
            code = code if knows else NONE
            answer = self.fetch(version, 0, current=current)
            told = answer["responses"][0]["partitions"][0]
            leader = told["current_leader"] or NO_LEADER
            corrected = code == FENCED and version >= 16
            what = f"v{version}, current {current}"
            expect(told["error_code"], code, what)
            expect((leader["leader_id"], leader["leader_epoch"]),
                   (1, self.lives[-1]) if corrected else (-1, -1), f"leader, {what}")
            nodes = [(node["node_id"], node["port"]) for node in answer["node_endpoints"] or []]
            expect(nodes, [(1, self.broker.address[1])] if corrected else [], f"nodes, {what}")

    def fetch_last(self):
        first, second, third, last = self.lives
        rows = {
            (END, last): None, (15, second): None, (10, first): None, (5, first): None,
            (END, -1): None, (END, -2): None, (0, last): None,
            (END, second): (second, 15), (12, first): (first, 10), (END, third): (second, 15),
            (15, third): (second, 15), (END + 5, last): (last, END), (END + 5, first): (first, 10),
            (END, last + 1): OUT_OF_RANGE, (0, last + 1): OUT_OF_RANGE,
            (END + 5, -1): OUT_OF_RANGE}
        for version, ((offset, epoch), told) in itertools.product(range(12, 19), rows.items()):
            part = self.fetch(version, offset, last=epoch)["responses"][0]["partitions"][0]
            code = OUT_OF_RANGE if told == OUT_OF_RANGE else NONE
            parts_at = told if isinstance(told, tuple) else (-1, -1)
            diverging = part["diverging_epoch"] or NOT_DIVERGING
            what = f"v{version}, offset {offset} after epoch {epoch}"
            expect(part["error_code"], code, what)
            expect((diverging["epoch"], diverging["end_offset"]), parts_at, f"parts, {what}")
            expect(part["high_watermark"], END if code == NONE else -1, f"end, {what}")

    def offset(self, version, time, current=-1):
        asked = {"partition_index": 0, "current_leader_epoch": current, "timestamp": time}
        topics = [{"name": self.topic, "partitions": [asked]}]
        answer = self.ask("ListOffsets", version, replica_id=-1, topics=topics)
        told = answer["topics"][0]["partitions"][0]
        return told["error_code"], told["offset"], told["leader_epoch"]

    def times(self, version):
        """Each time that this version knows, with the offset and the epoch there."""
        first, second, _, last = self.lives
        known = {
            -2: (1, 0, first), -1: (1, END, last), TIME: (1, 0, first), TIME + 9: (1, 9, first),
            TIME + 10: (1, 10, second), TIME + 15: (1, 15, last), TIME + END: (1, -1, -1),
            -3: (7, END - 1, last), -4: (8, 0, first), -5: (9, -1, -1), -6: (11, -1, -1)}
        return {time: told for time, (since, *told) in known.items() if version >= since}

    def list_offsets(self):
        for version in range(1, 12):
            for time, (offset, epoch) in self.times(version).items():
                told = (NONE, offset, epoch if version >= 4 else -1)
                expect(self.offset(version, time), told, f"v{version}, time {time}")

    def list_offsets_current(self):
        for version, (current, code) in itertools.product(range(4, 12), self.currents().items()):
            for time in self.times(version):
                found = self.offset(version, time, current)[0]
                expect(found, code, f"v{version}, time {time}, current {current}")

    def told_by_metadata(self):
        for version in range(14):
            told = self.lives[-1] if version >= 7 else -1
            expect(self.metadata(version)["leader_epoch"], told, f"v{version}")

    def commits(self):
        """The epoch of a committed offset is the client's affair."""
        now, group = self.lives[-1], f"{self.topic}-group"
        self.find_coordinator(group)
        for version, epoch in itertools.product(range(2, 11), (-1, -2, 0, now, now + 1)):
            asked = {"partition_index": 0, "committed_offset": 5, "committed_leader_epoch": epoch,
                     "committed_metadata": ""}
            topics = [{"name": self.topic, "topic_id": self.id, "partitions": [asked]}]
            answer = self.ask("OffsetCommit", version, group_id=group, topics=topics,
                              generation_id_or_member_epoch=-1, member_id="")
            what = f"v{version}, epoch {epoch}"
            expect(answer["topics"][0]["partitions"][0]["error_code"], NONE, what)
            for reading in range(5, 11):
                told = epoch if version >= 6 else -1
                expect(self.committed(reading, group), told, f"{what}, told by v{reading}")

    def committed(self, version, group):
        topic = {"name": self.topic, "topic_id": self.id, "partition_indexes": [0]}
        asked = {"group_id": group, "topics": [topic]}
        fields = {"groups": [asked]} if version >= 8 else asked
        answer = self.ask("OffsetFetch", version, **fields)
        answer = answer["groups"][0] if version >= 8 else answer
        return answer["topics"][0]["partitions"][0]["committed_leader_epoch"]

    def find_coordinator(self, group):
        """Has the broker make the topic of the groups, and load this one."""
        def asked():
            answer = self.ask("OffsetFetch", 8, groups=[{"group_id": group, "topics": None}])
            return answer["groups"][0]["error_code"]
        self.ask("FindCoordinator", 4, key_type=0, coordinator_keys=[group])
        eventually(asked, NONE, "a coordinator")
