"""Adapter of kafka-python."""

import re
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource
from kafka.errors import BrokerResponseError, LogTruncationError, for_code

from kafka_python_groups import Groups
from protocol import Record, Unsupported, serve
from raw import Raw

WAIT_MS = 30_000
FETCH_WAIT_MS = 5_000  # with an empty answer it forgets in which epoch it has read
LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3  # timestamps with a meaning in ListOffsets
SPECS = {"latest": LATEST, "earliest": EARLIEST, "max_timestamp": MAX_TIMESTAMP}


class KafkaPython(Groups, Raw):
    def __init__(self, bootstrap):
        super().__init__()
        self.base = {"bootstrap_servers": bootstrap}
        self.admin = KafkaAdminClient(**self.base)

    def guess(self):
        """The version that it takes the broker for."""
        return self.admin._manager.broker_version

    def create(self, topic, partitions, replication, configs):
        self.admin.create_topics({topic: {
            "num_partitions": partitions, "replication_factor": replication, "configs": configs}})

    def delete(self, topic):
        self.admin.delete_topics([topic])

    def partitions(self, topic):
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def configs(self, topic):
        found = self.admin.describe_configs([ConfigResource("topic", topic)], config_filter="all")
        return {name: entry["value"] for name, entry in found["topic"][topic].items()}

    def alter(self, kind, name, changes, replacing):
        if replacing:
            raise Unsupported("kafka-python adds what is not named itself")
        done = self.admin.alter_configs([ConfigResource(kind, name, {
            config: ("DELETE" if value is None else "SET", value)
            for config, value in changes.items()})], raise_on_unknown=False)
        if (outcome := done[kind][name]) != "OK":
            raise error_in(outcome)

    def grow(self, topic, partitions):
        self.admin.create_partitions({topic: partitions})

    def offset(self, topic, partition, at):
        where = TopicPartition(topic, partition)
        return self.admin.list_partition_offsets({where: SPECS.get(at, at)})[where].offset

    def produce(self, topic, records, codec, acks, idempotent, max_bytes):
        if any(record.key is None and record.value is None for record in records):
            raise Unsupported("kafka-python refuses a record without key and value")
        if any(value is None for record in records for _, value in record.headers):
            raise Unsupported("kafka-python refuses a header without value")
        producer = KafkaProducer(
            **self.base, acks="all" if acks == "all" else int(acks), enable_idempotence=idempotent,
            compression_type=None if codec == "none" else codec, linger_ms=5,
            max_request_size=max_bytes, max_block_ms=5_000)
        try:
            sent = [producer.send(
                topic, record.value, record.key, record.headers, record.partition,
                record.timestamp) for record in records]
            producer.flush(WAIT_MS / 1000)
            offsets = [future.get(1).offset for future in sent]
            return offsets if acks != "0" else None
        finally:
            producer.close()

    def consume(self, topic, start, count, reset, fetch_bytes, wait_ms):
        consumer = KafkaConsumer(
            **self.base, auto_offset_reset="none" if reset == "error" else reset,
            max_partition_fetch_bytes=fetch_bytes, fetch_max_wait_ms=FETCH_WAIT_MS,
            allow_auto_create_topics=False)
        consumer.assign([TopicPartition(topic, partition) for partition, _ in start])
        for partition, offset in start:
            where = TopicPartition(topic, partition)
            seek = {EARLIEST: consumer.seek_to_beginning, LATEST: consumer.seek_to_end}.get(offset)
            seek(where) if seek else consumer.seek(where, offset)
        found, deadline = [], time.monotonic() + wait_ms / 1000
        try:
            while len(found) < count and time.monotonic() < deadline:
                polled = consumer.poll(100, max_records=count - len(found))
                found += [record_of(message) for batch in polled.values() for message in batch]
        finally:
            consumer.close()
        return found


def error_in(outcome):
    """The error whose text kafka-python returns instead of the error."""
    code = re.match(r"\[Error (\d+)\]", outcome)
    return for_code(int(code[1]))(outcome) if code else RuntimeError(outcome)


def record_of(message):
    return Record(
        message.value, message.key, message.partition, list(message.headers), message.timestamp,
        message.offset)


def code_of(error):
    if isinstance(error, LogTruncationError):
        return 1  # as the Java client: an offset out of range
    if "Unrecognized partition" in str(error):
        return 3  # its own refusal of a partition that the metadata lacks
    return error.errno if isinstance(error, BrokerResponseError) else None


if __name__ == "__main__":
    serve(KafkaPython(sys.argv[1]), code_of)
