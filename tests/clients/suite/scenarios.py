"""What every client must be able to do with the broker, each on a topic of its own."""

import dataclasses
import functools
import itertools
import random
import time
from typing import Callable

from protocol import Record
from report import eventually, expect, expect_code, expect_records

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
START_MS = (int(time.time()) - 3_600) * 1_000  # recent, so that retention keeps it
MIB = 1 << 20

OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION, MESSAGE_TOO_LARGE = 1, 3, 10
INVALID_TOPIC, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS = 17, 36, 37
INVALID_REPLICATION_FACTOR, INVALID_CONFIG = 38, 40

SCENARIOS = []


@dataclasses.dataclass
class Scenario:
    name: str
    body: Callable
    partitions: int  # how its topic is made beforehand, 0 for not at all
    client: str | None  # the only one that it is for


def scenario(*variants, partitions=1, client=None):
    """Registers a test, once per variant."""
    def register(body):
        name = body.__name__.replace("_", "-")
        for variant in variants:
            bound = functools.partial(body, variant=variant)
            SCENARIOS.append(Scenario(f"{name}/{variant}", bound, partitions, client))
        if not variants:
            SCENARIOS.append(Scenario(name, body, partitions, client))
        return body
    return register


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def assorted(count):
    """Keyed records in partition 0, compressible and not, up to 2,000 bytes, some with headers."""
    def value(index):
        size = index * 37 % 2_000
        return noise(index, size) if index % 2 else b"%06d corelog " % index * (1 + size // 15)

    headers = ([], [("same", b"1"), ("same", b"2")])
    return [
        Record(value(index), b"key-%d" % (index % 7), 0, headers[index // 40 % 2])
        for index in range(count)]


def write(client, topic, records, **settings):
    """Produces to partition 0 and checks the offsets that the client reports."""
    offsets = client.produce(topic, records, **settings)
    if offsets is not None:
        expect(offsets, list(range(len(records))), "acknowledged offsets")


@scenario(partitions=0)
def create_and_delete(client, topic):
    client.create(topic, 3)
    eventually(lambda: client.partitions(topic), 3, "partitions after create")
    expect(client.offset(topic, "latest", partition=2), 0, "end of an empty partition")
    client.delete(topic)
    eventually(lambda: client.partitions(topic), 0, "partitions after delete")


@scenario(partitions=0)
def delete_and_create_again(client, topic):
    client.create(topic, 1)
    write(client, topic, assorted(20))
    client.delete(topic)
    eventually(lambda: client.partitions(topic), 0, "partitions after delete")
    client.create(topic, 2)
    eventually(lambda: client.partitions(topic), 2, "partitions after the second create")
    expect(client.offset(topic, "latest"), 0, "end of the new topic")
    again = assorted(3)[::-1]
    write(client, topic, again)
    expect_records(client.consume(topic, -2, 3), again)


@scenario(partitions=0)
def create_with_configs(client, topic):
    client.create(topic, 1, retention_ms="12345678", max_message_bytes="54321")
    eventually(lambda: client.partitions(topic), 1, "partitions after create")
    found = client.configs(topic)
    expect(found["retention.ms"], "12345678", "retention.ms")
    expect(found["max.message.bytes"], "54321", "max.message.bytes")
    expect(found["cleanup.policy"], "delete", "cleanup.policy")
    expect(found["compression.type"], "producer", "compression.type")
    expect(found["message.timestamp.type"], "CreateTime", "message.timestamp.type")


@scenario()
def create_what_exists(client, topic):
    expect_code(TOPIC_ALREADY_EXISTS, lambda: client.create(topic, 1))


@scenario("space", "slash", "dots", "long", partitions=0)
def create_with_invalid_name(client, topic, variant):
    names = {"space": f"{topic} x", "slash": f"{topic}/x", "dots": "..", "long": "x" * 250}
    expect_code(INVALID_TOPIC, lambda: client.create(names[variant], 1))


@scenario(partitions=0)
def create_with_too_many_replicas(client, topic):
    expect_code(INVALID_REPLICATION_FACTOR, lambda: client.create(topic, 1, replication=3))
    expect(client.partitions(topic), 0, "partitions of the refused topic")


@scenario("0", "-7", partitions=0)
def create_with_invalid_partitions(client, topic, variant):
    expect_code(INVALID_PARTITIONS, lambda: client.create(topic, int(variant)))


@scenario("name", "value", partitions=0)
def create_with_invalid_config(client, topic, variant):
    configs = {"name": {"no_such_config": "1"}, "value": {"retention_ms": "soon"}}[variant]
    expect_code(INVALID_CONFIG, lambda: client.create(topic, 1, **configs))


@scenario("incremental", "replacing")
def altered_configs(client, topic, variant):
    """What is not named stays, or goes back to its default, as the request has it."""
    replacing = variant == "replacing"
    alter = functools.partial(client.alter, topic, replacing=replacing)
    default = client.configs(topic)

    def await_configs(retention, policy, limit):
        names = ("retention.ms", "cleanup.policy", "max.message.bytes")
        eventually(lambda: [client.configs(topic)[name] for name in names],
                   [retention, policy, limit], "configs")

    alter(cleanup_policy="compact", max_message_bytes="54321")
    await_configs(default["retention.ms"], "compact", "54321")
    alter(cleanup_policy=None, retention_ms="12345678")
    limit = default["max.message.bytes"] if replacing else "54321"
    await_configs("12345678", "delete", limit)
    expect_code(INVALID_CONFIG, lambda: alter(retention_ms="1", no_such_config="1"))
    expect_code(INVALID_CONFIG, lambda: alter(cleanup_policy="compact", retention_ms="soon"))
    expect_code(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.alter(
        f"{topic}-missing", replacing=replacing, retention_ms="1"))
    await_configs("12345678", "delete", limit)


@scenario(partitions=2)
def grown_topic(client, topic):
    def to_each(partitions, value):
        return [Record(value, b"k", partition) for partition in range(partitions)]

    client.produce(topic, to_each(2, b"before"))
    client.grow(topic, 5)
    eventually(lambda: client.partitions(topic), 5, "partitions after the growth")
    eventually(lambda: client.helper.led("ends", topic=topic), [1, 1, 0, 0, 0], "ends")
    client.produce(topic, to_each(5, b"after"))
    expect(client.helper.led("ends", topic=topic), [2, 2, 1, 1, 1], "ends after writing to each")
    for refused in (5, 2):
        expect_code(INVALID_PARTITIONS, lambda: client.grow(topic, refused))
    expect_code(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.grow(f"{topic}-missing", 5))
    expect(client.partitions(topic), 5, "partitions after the refusals")


@scenario(partitions=0)
def delete_what_is_missing(client, topic):
    expect_code(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.delete(topic))


@scenario(partitions=0)
def look_up_missing_topic(client, topic):
    expect_code(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.offset(topic, "latest"))
    expect(client.partitions(topic), 0, "partitions of a topic that was only looked up")


@scenario(partitions=2)
def look_up_missing_partition(client, topic):
    expect_code(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.offset(topic, "latest", partition=99))


@scenario(partitions=2)
def produce_to_missing_partition(client, topic):
    record = Record(b"nowhere", partition=99)
    expect_code(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.produce(topic, [record]))


@scenario(partitions=0)
def produce_to_missing_topic(client, topic):
    """Makes the topic where the broker's setting and the client's both ask for it."""
    settings = client.helper.call("broker_configs")
    if settings["auto.create.topics.enable"] == "true" and client.creates_topics:
        client.produce(topic, [Record(b"first", b"k")])
        expect(client.partitions(topic), int(settings["num.partitions"]), "partitions it made")
    else:
        expect_code(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.produce(topic, assorted(1)))
        expect(client.partitions(topic), 0, "partitions of the missing topic")


@scenario(partitions=2, client="franz-go")
def raw_requests_to_what_is_missing(client, topic):
    """By topic name in old versions, by topic id in new ones; see go/raw.go."""
    expect(client.call("missing", topic=topic), {
        "produce to partition": 3, "produce to topic": 3, "produce to topic id": 100,
        "fetch from partition": 3, "fetch from topic": 3, "fetch from topic id": 100}, "errors")


@scenario(partitions=0, client="franz-go")
def version_guess(client, topic):
    """Every API that is served goes as far as in Kafka 4.3; what is not served hides that."""
    expect(client.call("guess"), "v4.3", "kversion's guess from the APIs that are served")


@scenario(partitions=0, client="kafka-python")
def broker_version(client, topic):
    expect(client.call("guess")[0], 4, "the major version that it takes the broker for")


@scenario(*CODECS)
def codec(client, topic, variant):
    sent = assorted(200)
    write(client, topic, sent, codec=variant)
    expect(client.offset(topic, "latest"), 200, "end")
    expect_records(client.consume(topic, 0, 200), sent)


@scenario("0", "1", "all")
def acks(client, topic, variant):
    sent = assorted(50)
    write(client, topic, sent, acks=variant)
    eventually(lambda: client.offset(topic, "latest"), 50, "end")
    expect_records(client.consume(topic, 0, 50), sent)


@scenario()
def idempotent(client, topic):
    sent = assorted(500)
    write(client, topic, sent, idempotent=True)
    expect(client.offset(topic, "latest"), 500, "end")
    expect_records(client.consume(topic, 0, 500), sent)


ODD_RECORDS = {
    "null-key": Record(b"v"), "null-value": Record(None, b"k"), "nulls": Record(None),
    "empty-key": Record(b"v", b""), "empty-value": Record(b"", b"k"), "empty": Record(b"", b""),
    "null-header": Record(b"v", b"k", headers=[("h", None), ("h", b"x")]),
    "empty-header": Record(b"v", b"k", headers=[("h", b""), ("", b"x")]),
    "binary-header": Record(b"v", b"k", headers=[("\u6c34", bytes(range(256)))])}


@scenario(*ODD_RECORDS)
def odd_record(client, topic, variant):
    record = ODD_RECORDS[variant]
    write(client, topic, [record])
    expect_records(client.helper.consume(topic, 0, 1), [record])
    expect_records(client.consume(topic, 0, 1), [record])


@scenario()
def consume_from_offset(client, topic):
    write(client, topic, assorted(100), codec="lz4")
    found = client.consume(topic, 57, 43)
    expect([record.offset for record in found], list(range(57, 100)), "offsets from 57")
    expect(len(client.consume(topic, -2, 100)), 100, "records from the earliest")
    expect(client.consume(topic, -1, 1, wait_ms=700), [], "records from the latest")


@scenario()
def offsets(client, topic):
    expect(client.offset(topic, "latest"), 0, "end of an empty partition")
    write(client, topic, assorted(10))
    expect(client.offset(topic, "earliest"), 0, "earliest")
    expect(client.offset(topic, "latest"), 10, "latest")


@scenario(*CODECS[:2])
def offsets_for_times(client, topic, variant):
    sent = assorted(10)
    for index, record in enumerate(sent):
        record.timestamp = START_MS + 1_000 * index
    write(client, topic, sent, codec=variant)
    for after, wanted in ((-5, 0), (0, 0), (2_500, 3), (9_000, 9), (9_001, -1)):
        expect(client.offset(topic, START_MS + after), wanted, f"offset at start + {after} ms")
    expect_records(client.consume(topic, 0, 10), sent)


@scenario()
def offset_of_largest_timestamp(client, topic):
    expect(client.offset(topic, "max_timestamp"), -1, "largest timestamp of an empty partition")
    sent = assorted(10)
    for index, record in enumerate(sent):
        record.timestamp = START_MS + 1_000 * (index * 7 % 10)
    write(client, topic, sent)
    expect(client.offset(topic, "max_timestamp"), 7, "offset of the largest timestamp")


@scenario()
def waiting_consumer(client, topic):
    """A record that arrives during a long poll ends it."""
    write(client, topic, assorted(5))
    client.begin_consume(topic, 5, 1)
    time.sleep(1)
    client.helper.produce(topic, [Record(b"late", b"k", 0)])
    written = time.monotonic()
    expect([record.value for record in client.end_consume()], [b"late"], "record at the end")
    if (waited := time.monotonic() - written) > 5:
        raise AssertionError(f"the record took {waited:.1f} s to arrive")


@scenario()
def large_record(client, topic):
    """Just below the default max.message.bytes, and above what the consumer asks for."""
    sent = [Record(noise(1, MIB - 1_024), b"k", 0), Record(b"small", b"k", 0)]
    write(client, topic, sent, max_bytes=4 * MIB)
    expect_records(client.consume(topic, 0, 2, fetch_bytes=65_536), sent)


@scenario()
def too_large_record(client, topic):
    large = Record(noise(1, MIB + 1_024), partition=0)
    expect_code(MESSAGE_TOO_LARGE, lambda: client.produce(topic, [large], max_bytes=4 * MIB))
    write(client, topic, assorted(1))
    expect(client.offset(topic, "latest"), 1, "end after the refusal")


@scenario(partitions=0)
def topic_with_own_limit(client, topic):
    client.helper.create(topic, 1, max_message_bytes=str(3 * MIB))
    large = [Record(noise(1, 2 * MIB), b"k", 0)]
    write(client, topic, large, max_bytes=4 * MIB)
    expect_records(client.consume(topic, 0, 1, fetch_bytes=65_536), large)
    too_large = Record(noise(2, 3 * MIB), partition=0)
    expect_code(MESSAGE_TOO_LARGE, lambda: client.produce(topic, [too_large], max_bytes=4 * MIB))


@scenario(partitions=120)
def many_partitions(client, topic):
    """A key stays in one partition, in order; one consumer reads all partitions."""
    sent = [Record(b"%d" % index, b"key-%d" % (index % 600)) for index in range(2_400)]
    client.produce(topic, sent)
    found = client.consume(topic, {partition: 0 for partition in range(120)}, 2_400)
    by_key = {}
    for record in found:
        by_key.setdefault(record.key, []).append((record.partition, int(record.value)))
    for key, places in by_key.items():
        first = int(key.removeprefix(b"key-"))
        expect([n for _, n in places], list(range(first, 2_400, 600)), f"values of {key}")
        expect(len({partition for partition, _ in places}), 1, f"partitions of {key}")
    expect(len(by_key), 600, "keys read")
    used = len({record.partition for record in found})
    if used < 100:
        raise AssertionError(f"600 keys went to {used} of 120 partitions only")


@scenario(partitions=120)
def each_partition(client, topic):
    sent = [Record(b"to %d" % partition, b"k", partition) for partition in range(120)]
    client.produce(topic, sent, codec="gzip")
    found = client.consume(topic, {partition: -2 for partition in range(120)}, 120)
    wanted = {record.partition: record.value for record in sent}
    expect({record.partition: record.value for record in found}, wanted, "record by partition")


@scenario()
def out_of_range_is_an_error(client, topic):
    write(client, topic, assorted(5))
    expect_code(OFFSET_OUT_OF_RANGE, lambda: client.consume(topic, 1_000, 1))


@scenario()
def out_of_range_resets_to_earliest(client, topic):
    write(client, topic, assorted(5))
    expect_records(client.consume(topic, 1_000, 5, reset="earliest"), assorted(5))


@scenario()
def out_of_range_resets_to_latest(client, topic):
    write(client, topic, assorted(5))
    client.begin_consume(topic, 1_000, 1, reset="latest")
    time.sleep(1.5)
    client.helper.produce(topic, [Record(b"new", b"k", 0)])
    expect([(r.offset, r.value) for r in client.end_consume()], [(5, b"new")], "after the reset")


def run_all(report, clients, prefix):
    for client, one in itertools.product(clients, SCENARIOS):
        if one.client in (None, client.name) and one.name.startswith(client.scenarios):
            topic = f"{prefix}-{client.name}-{one.name.replace('/', '-')}"
            report.test(f"{client.name}/{one.name}", lambda: run_one(one, client, topic))


def run_one(one, client, topic):
    if one.partitions:
        make(client.helper, topic, one.partitions)
    one.body(client, topic)


def make(helper, topic, partitions=1):
    """Creates a topic and waits until each partition is led, so that nothing is retried."""
    helper.create(topic, partitions)
    wanted = [0] * partitions
    eventually(lambda: helper.led("ends", topic=topic), wanted, "ends of the new partitions")
