"""Adapter of librdkafka, through confluent-kafka."""

import sys
import time

from confluent_kafka import (
    Consumer, KafkaError, KafkaException, Producer,
    TopicCollection, TopicPartition)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions,
    NewTopic, OffsetSpec)

from librdkafka_groups import Groups
from protocol import Record, Unsupported, serve

WAIT_S = 30
UNKNOWN_TOPIC = 3
OFFSET_SPECS = {
    "earliest": OffsetSpec.earliest, "latest": OffsetSpec.latest,
    "max_timestamp": OffsetSpec.max_timestamp}

KAFKAS_WORDS = {"GROUP_CONFIG": "DYNAMIC_GROUP_CONFIG"}  # for what librdkafka names otherwise


class Librdkafka(Groups):
    def __init__(self, bootstrap):
        super().__init__()
        self.base = {"bootstrap.servers": bootstrap}
        self.admin = AdminClient(self.base)

    def create(self, topic, partitions, replication, configs):
        if partitions < -1:
            raise Unsupported("librdkafka refuses the number of partitions itself")
        new = NewTopic(topic, partitions, replication, config=configs)
        self.admin.create_topics([new])[topic].result(WAIT_S)

    def delete(self, topic):
        self.admin.delete_topics([topic])[topic].result(WAIT_S)

    def grow(self, topic, partitions):
        self.admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(WAIT_S)

    def delete_all(self, prefix):
        topics = [t for t in self.admin.list_topics(timeout=WAIT_S).topics if t.startswith(prefix)]
        for deleted in self.admin.delete_topics(topics).values() if topics else []:
            deleted.result(WAIT_S)

    def partitions(self, topic):
        try:
            found = self.admin.describe_topics(TopicCollection([topic]))[topic].result(WAIT_S)
        except KafkaException as error:
            if code_of(error) == UNKNOWN_TOPIC:
                return 0
            raise
        return len(found.partitions)

    def configs(self, topic, kind="topic"):
        return {entry.name: entry.value for entry in self.described(kind, topic)}

    def group_configs(self, group):
        return {
            entry.name: [entry.value, source_of(entry)]
            for entry in self.described("group", group)}

    def broker_configs(self):
        return self.configs(str(min(self.admin.list_topics(timeout=WAIT_S).brokers)), "broker")

    def described(self, kind, name):
        resource = ConfigResource(kind, name)
        return self.admin.describe_configs([resource])[resource].result(WAIT_S).values()

    def alter(self, kind, name, changes, replacing):
        if replacing:
            change, resource = self.admin.alter_configs, ConfigResource(kind, name, changes)
        else:
            change = self.admin.incremental_alter_configs
            resource = ConfigResource(kind, name, incremental_configs=[
                entry(config, value) for config, value in changes.items()])
        change([resource])[resource].result(WAIT_S)

    def ends(self, topic):
        found = self.admin.list_offsets({
            TopicPartition(topic, partition): OffsetSpec.latest()
            for partition in range(self.partitions(topic))})
        return [future.result(WAIT_S).offset for future in found.values()]

    def offset(self, topic, partition, at):
        where = TopicPartition(topic, partition)
        spec = OFFSET_SPECS[at]() if at in OFFSET_SPECS else OffsetSpec.for_timestamp(at)
        return self.admin.list_offsets({where: spec})[where].result(WAIT_S).offset

    def epoch(self, topic, partition):
        where = TopicPartition(topic, partition)
        return self.admin.list_offsets({where: OffsetSpec.latest()})[where].result(
            WAIT_S).leader_epoch

    def produce(self, topic, records, codec, acks, idempotent, max_bytes):
        producer = Producer(self.base | {
            "compression.type": codec, "acks": acks, "enable.idempotence": idempotent,
            "message.max.bytes": max_bytes, "linger.ms": 5, "message.timeout.ms": 20_000,
            "topic.metadata.propagation.max.ms": 5_000})
        offsets, errors = [None] * len(records), []

        def reported(index):
            def on_delivery(error, message):
                errors.extend([error] if error else [])
                offsets[index] = message.offset()
            return on_delivery

        for index, record in enumerate(records):
            producer.produce(
                topic, value=record.value, key=record.key, headers=record.headers,
                partition=-1 if record.partition is None else record.partition,
                timestamp=record.timestamp or 0, on_delivery=reported(index))
        unsent = producer.flush(WAIT_S)
        if errors:
            raise KafkaException(errors[0])
        if unsent:
            raise TimeoutError(f"{unsent} records were not acknowledged in {WAIT_S} s")
        return offsets if acks != "0" else None

    def consume(self, topic, start, count, reset, fetch_bytes, wait_ms):
        consumer = Consumer(self.base | {
            "group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": reset,
            "max.partition.fetch.bytes": fetch_bytes})
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in start])
        found, deadline = [], time.monotonic() + wait_ms / 1000
        try:
            while len(found) < count and time.monotonic() < deadline:
                for message in consumer.consume(count - len(found), timeout=0.1):
                    found.append(record_of(message))
        finally:
            consumer.close()
        return found


def entry(config, value):
    operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    return ConfigEntry(config, value, incremental_operation=operation)


def source_of(entry):
    name = ConfigSource(entry.source).name
    return KAFKAS_WORDS.get(name, name)


def record_of(message):
    if message.error():
        raise KafkaException(message.error())
    return Record(
        message.value(), message.key(), message.partition(), message.headers() or [],
        message.timestamp()[1], message.offset())


def code_of(error):
    """Kafka's code; librdkafka's own codes are negative, those that stand for one are mapped."""
    if not isinstance(error, KafkaException):
        return None
    code = error.args[0].code()
    local = {
        KafkaError._AUTO_OFFSET_RESET: 1, KafkaError._LOG_TRUNCATION: 1,
        KafkaError._UNKNOWN_TOPIC: UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION: UNKNOWN_TOPIC, KafkaError._NOENT: UNKNOWN_TOPIC}
    return local.get(code, code if code > 0 else None)


if __name__ == "__main__":
    serve(Librdkafka(sys.argv[1]), code_of)
