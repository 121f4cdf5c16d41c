"""The operations on consumer groups of the adapter of librdkafka."""

import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from protocol import Unsupported

WAIT_S = 30
POLL_S = 0.05
HEARTBEAT_MS = 500
METADATA_MS = 500


class Member:
    def __init__(self, settings, topics):
        self.events = []
        self.consumer = Consumer(settings)
        self.consumer.subscribe(
            topics, on_assign=self.noting("assigned"), on_revoke=self.noting("revoked"),
            on_lost=self.noting("lost"))

    def noting(self, what):
        return lambda _, partitions: self.events.append([what, places(partitions)])

    def poll(self):
        found = []
        for message in self.consumer.consume(500, timeout=POLL_S):
            error = message.error()
            if error and error.fatal():
                raise KafkaException(error)
            if error:
                self.events.append([str(error), []])
            else:
                found.append([message.topic(), message.partition(), message.offset()])
        return found

    def told(self, records):
        events, self.events = self.events, []
        held = places(self.consumer.assignment())
        return {"records": records, "held": held, "events": events}


class Groups:
    """Expects `base`, the settings of every client, and `admin`."""

    def __init__(self):
        self.members = {}

    def group_open(self, id, group, topics, pattern, protocol, assignor, instance, session_ms):
        settings = self.base | {
            "client.id": id, "group.id": group, "group.protocol": protocol,
            "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": METADATA_MS}
        if protocol == "classic":
            settings |= {
                "session.timeout.ms": session_ms, "heartbeat.interval.ms": HEARTBEAT_MS,
                "partition.assignment.strategy": assignor}
        elif assignor:
            settings["group.remote.assignor"] = assignor
        if instance:
            settings["group.instance.id"] = instance
        self.members[id] = Member(settings, [pattern] if pattern else topics)

    def group_poll(self, ids, ms):
        deadline = time.monotonic() + ms / 1000
        found = {id: [] for id in ids}
        while time.monotonic() < deadline:
            for id in ids:
                found[id] += self.members[id].poll()
        return {id: self.members[id].told(found[id]) for id in ids}

    def group_commit(self, id, offsets):
        given = {} if offsets is None else {"offsets": partitions_of(offsets)}
        checked(self.members[id].consumer.commit(asynchronous=False, **given))

    def group_close(self, id):
        self.members.pop(id).consumer.close()

    def group_list(self):
        found = self.admin.list_consumer_groups().result(WAIT_S)
        return {group.group_id: group.state.name for group in found.valid}

    def group_describe(self, group):
        found = self.admin.describe_consumer_groups([group])[group].result(WAIT_S)
        members = [
            [member.group_instance_id, member.client_id, places(member.assignment.topic_partitions)]
            for member in found.members]
        return {"state": found.state.name, "members": members}

    def group_offsets(self, group):
        asked = ConsumerGroupTopicPartitions(group)
        found = self.admin.list_consumer_group_offsets([asked])[group].result(WAIT_S)
        return [
            [p.topic, p.partition, p.offset, p.metadata, p.leader_epoch]
            for p in checked(found.topic_partitions)]

    def group_alter(self, group, offsets):
        asked = ConsumerGroupTopicPartitions(group, partitions_of(offsets))
        found = self.admin.alter_consumer_group_offsets([asked])[group].result(WAIT_S)
        checked(found.topic_partitions)

    def group_forget(self, **_):
        raise Unsupported("confluent-kafka cannot delete offsets")

    def group_delete(self, group):
        self.admin.delete_consumer_groups([group])[group].result(WAIT_S)


def places(partitions):
    return [[p.topic, p.partition] for p in partitions]


def partitions_of(offsets):
    return [
        TopicPartition(topic, partition, offset, metadata, epoch)
        for topic, partition, offset, metadata, epoch in offsets]


def checked(partitions):
    for partition in partitions:
        if partition.error:
            raise KafkaException(partition.error)
    return partitions
