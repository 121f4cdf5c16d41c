"""Adapter of aiokafka."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource
from aiokafka.errors import BrokerResponseError, for_code

from aiokafka_groups import Groups
from kafka_python import EARLIEST, LATEST, record_of
from protocol import Unsupported, serve

WAIT_S = 30


class Aiokafka(Groups):
    def __init__(self, bootstrap):
        super().__init__()
        self.base = {"bootstrap_servers": bootstrap}
        self.admin = None

    async def started_admin(self):
        if self.admin is None:
            self.admin = AIOKafkaAdminClient(**self.base)
            await self.admin.start()
        return self.admin

    async def create(self, topic, partitions, replication, configs):
        admin = await self.started_admin()
        new = NewTopic(topic, partitions, replication, topic_configs=configs)
        response = await admin.create_topics([new])
        raise_code(response.topic_errors[0][1])

    async def delete(self, topic):
        response = await (await self.started_admin()).delete_topics([topic])
        raise_code(response.topic_error_codes[0][1])

    async def partitions(self, topic):
        admin = await self.started_admin()
        topics = await admin.describe_topics()  # naming a missing topic would create it
        return next((len(t["partitions"]) for t in topics if t["topic"] == topic), 0)

    async def configs(self, topic):
        admin = await self.started_admin()
        [response] = await admin.describe_configs([ConfigResource("topic", topic)])
        [(code, _, _, _, entries)] = response.resources
        raise_code(code)
        return {entry[0]: entry[1] for entry in entries}

    async def alter(self, kind, name, changes, replacing):
        if kind != "topic":
            raise Unsupported("aiokafka has no configs of groups")
        if not replacing:
            raise Unsupported("aiokafka replaces all configs of a topic")
        admin = await self.started_admin()
        [response] = await admin.alter_configs([ConfigResource(kind, name, changes)])
        raise_code(response.resources[0][0])

    async def grow(self, topic, partitions):
        admin = await self.started_admin()
        await admin.create_partitions({topic: NewPartitions(partitions)})

    async def offset(self, topic, partition, at):
        if at == "max_timestamp":
            raise Unsupported("aiokafka has no look-up of the largest timestamp")
        if partition >= await self.partitions(topic):
            raise Unsupported("aiokafka asks for a missing partition until it times out")
        where = TopicPartition(topic, partition)
        async with AIOKafkaConsumer(**self.base) as consumer:
            consumer.assign([where])
            if at in ("earliest", "latest"):
                find = {"earliest": consumer.beginning_offsets, "latest": consumer.end_offsets}
                return (await find[at]([where]))[where]
            found = (await consumer.offsets_for_times({where: at}))[where]
            return found.offset if found else -1

    async def produce(self, topic, records, codec, acks, idempotent, max_bytes):
        if any(record.key is None and record.value is None for record in records):
            raise Unsupported("aiokafka refuses a record without key and value")
        producer = AIOKafkaProducer(
            **self.base, acks="all" if acks == "all" else int(acks), enable_idempotence=idempotent,
            compression_type=None if codec == "none" else codec, linger_ms=5,
            max_request_size=max_bytes)
        async with producer:
            sent = [await producer.send(
                topic, record.value, record.key, record.partition, record.timestamp,
                record.headers) for record in records]
            done = await asyncio.wait_for(asyncio.gather(*sent), WAIT_S)
        return [metadata.offset for metadata in done] if acks != "0" else None

    async def consume(self, topic, start, count, reset, fetch_bytes, wait_ms):
        consumer = AIOKafkaConsumer(
            **self.base, auto_offset_reset="none" if reset == "error" else reset,
            max_partition_fetch_bytes=fetch_bytes)
        loop = asyncio.get_running_loop()
        found, deadline = [], loop.time() + wait_ms / 1000
        async with consumer:
            consumer.assign([TopicPartition(topic, partition) for partition, _ in start])
            for partition, offset in start:
                await position(consumer, TopicPartition(topic, partition), offset)
            while len(found) < count and loop.time() < deadline:
                polled = await consumer.getmany(timeout_ms=100, max_records=count - len(found))
                found += [record_of(message) for batch in polled.values() for message in batch]
        return found


async def position(consumer, where, offset):
    if offset == EARLIEST:
        await consumer.seek_to_beginning(where)
    elif offset == LATEST:
        await consumer.seek_to_end(where)
    else:
        consumer.seek(where, offset)


def raise_code(code):
    if code:
        raise for_code(code)


def code_of(error):
    if "Unrecognized partition" in str(error):
        return 3  # its own refusal of a partition that the metadata lacks
    return error.errno if isinstance(error, BrokerResponseError) else None


if __name__ == "__main__":
    serve(Aiokafka(sys.argv[1]), code_of)
