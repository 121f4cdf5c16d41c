"""The operations on consumer groups of the adapter of kafka-python."""

import time
from concurrent.futures import ThreadPoolExecutor

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition, errors
from kafka.admin import ConfigResource
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata

from protocol import Unsupported

POLL_MS = 250  # with a pattern a poll may spend 100 ms on metadata before it joins
HEARTBEAT_MS = 500
METADATA_MS = 500
ASSIGNORS = {"range": RangePartitionAssignor, "cooperative-sticky": CooperativeStickyAssignor}


class Member(ConsumerRebalanceListener):
    """Polls in a thread of its own: kafka-python joins again when a join ends between two polls."""

    def __init__(self, topics, pattern, settings):
        self.events, self.records, self.failure, self.closing = [], [], None, False
        self.consumer = KafkaConsumer(**settings)
        self.consumer.subscribe(topics=topics, pattern=pattern, listener=self)
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.thread.submit(self.poll)

    def on_partitions_assigned(self, assigned):
        self.events.append(["assigned", places(assigned)])

    def on_partitions_revoked(self, revoked):
        self.events.append(["revoked", places(revoked)])

    def on_partitions_lost(self, lost):
        self.events.append(["lost", places(lost)])

    def poll(self):
        try:
            polled = self.consumer.poll(POLL_MS)
        except Exception as failure:
            self.failure = failure
            return
        self.await_lost_join()
        self.records.extend(
            [where.topic, where.partition, message.offset]
            for where, batch in polled.items() for message in batch)
        if not self.closing:
            self.thread.submit(self.poll)  # behind whatever call() wants

    def await_lost_join(self):
        """kafka-python 3.0.12 forgets a join because of new partitions whose poll ends before it:
        the assignment has looked at them, so that nothing seems left to join for."""
        coordinator = self.consumer._coordinator
        if coordinator.rejoining and not coordinator.need_rejoin():
            coordinator.request_rejoin()

    def call(self, method, *arguments):
        return self.thread.submit(method, *arguments).result()

    def told(self):
        if self.failure:
            raise self.failure
        held = places(self.consumer.assignment())
        return {"records": drained(self.records), "held": held, "events": drained(self.events)}

    def close(self):
        self.closing = True
        self.call(self.consumer.close)
        self.thread.shutdown()


class Groups:
    """Expects `base`, the settings of every client, and `admin`."""

    def __init__(self):
        self.members = {}

    def group_open(self, id, group, topics, pattern, protocol, assignor, instance, session_ms):
        if protocol != "classic":
            raise Unsupported("kafka-python has the classic protocol only")
        self.members[id] = Member(topics, pattern, self.base | {
            "client_id": id, "group_id": group, "group_instance_id": instance,
            "session_timeout_ms": session_ms, "heartbeat_interval_ms": HEARTBEAT_MS,
            "partition_assignment_strategy": (ASSIGNORS[assignor],),
            "metadata_max_age_ms": METADATA_MS, "enable_auto_commit": False,
            "auto_offset_reset": "earliest", "allow_auto_create_topics": False})

    def group_poll(self, ids, ms):
        time.sleep(ms / 1000)
        return {id: self.members[id].told() for id in ids}

    def group_commit(self, id, offsets):
        member = self.members[id]
        member.call(member.consumer.commit, None if offsets is None else by_place(offsets))

    def group_close(self, id):
        self.members.pop(id).close()

    def group_list(self):
        return {group["group_id"]: group["group_state"] for group in self.admin.list_groups()}

    def group_describe(self, group):
        found = self.admin.describe_groups([group])[group]
        members = [
            [member["group_instance_id"], member["client_id"],
             assigned(member["member_assignment"])] for member in found["members"]]
        return {"state": found["group_state"], "members": members}

    def group_offsets(self, group):
        found = self.admin.list_group_offsets(group)[group]
        return [
            [*where, shown.offset, shown.metadata, shown.leader_epoch]
            for where, shown in found.items()]

    def group_alter(self, group, offsets):
        check(self.admin.alter_group_offsets(group, by_place(offsets)))

    def group_forget(self, group, places):
        check(self.admin.delete_group_offsets(group, [TopicPartition(*place) for place in places]))

    def group_configs(self, group):
        resource = ConfigResource("group", group)
        found = self.admin.describe_configs([resource], config_filter="all")["group"][group]
        return {name: [entry["value"], entry["config_source"]] for name, entry in found.items()}

    def group_delete(self, group):
        outcome = self.admin.delete_groups([group])[group]
        if outcome != "OK":
            raise getattr(errors, outcome)


def drained(noted):
    """What other threads have appended so far."""
    return [noted.pop(0) for _ in range(len(noted))]


def places(partitions):
    return [list(where) for where in partitions]


def by_place(offsets):
    return {
        TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata, epoch)
        for topic, partition, offset, metadata, epoch in offsets}


def assigned(assignment):
    return [
        [topic["topic"], partition] for topic in (assignment or {}).get("assigned_partitions", [])
        for partition in topic["partitions"]]


def check(outcomes):
    for outcome in outcomes.values():
        if outcome is not errors.NoError:
            raise outcome
