"""Kafka's own command line tools, each in a JVM of its own, as their scripts start them."""

import functools
import pathlib
import re
import subprocess
import time

from protocol import Record, Unsupported
from report import eventually, expect
from scenarios import START_MS, make

TOPICS = "org.apache.kafka.tools.TopicCommand"
CONFIGS = "kafka.admin.ConfigCommand"
GET_OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
API_VERSIONS = "org.apache.kafka.tools.BrokerApiVersionsCommand"
DUMP_LOG = "org.apache.kafka.tools.DumpLogSegments"
CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"

JVM = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
TOOL_S = 60


class Tools:
    def __init__(self, bootstrap, cache, log_dir):
        self.bootstrap, self.log_dir = bootstrap, log_dir
        self.java = [*JVM, "-cp", f"{cache}/java:{cache}/jars/*"]
        self.log = open(cache / "tools.log", "ab")

    def command(self, tool, *arguments):
        return [*self.java, tool, "--bootstrap-server", self.bootstrap, *arguments]

    def kcat(self, *arguments):
        return ["kcat", "-b", self.bootstrap, *arguments]

    def run(self, tool, *arguments, **streams):
        return checked(self.command(tool, *arguments), **streams)


def checked(command, timeout=TOOL_S, **streams):
    """The output of a program that must succeed."""
    done = subprocess.run(
        command, capture_output=True, timeout=timeout, encoding="utf-8", **streams)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


TESTS = []


def tool_test(body):
    TESTS.append((body.__name__.replace("_", "-"), body))
    return body


def run_all(report, tools, helper, prefix):
    for name, body in TESTS:
        report.test(f"tools/{name}", lambda: body(tools, helper, f"{prefix}-tools-{name}"))


def contains(output, *parts):
    for part in parts:
        if part not in output:
            raise AssertionError(f"no {part!r} in the output: {output}")


def refusal(run, *arguments):
    """What a tool that must fail says."""
    try:
        run(*arguments)
    except RuntimeError as failure:
        return str(failure)
    raise AssertionError(f"{arguments} succeeded")


def ten_records(helper, topic):
    """Ten records, the newest in the middle."""
    make(helper, topic)
    helper.produce(topic, [
        Record(b"value-%d" % i, b"key-%d" % i, 0, [("h", b"x")], START_MS + 1_000 * (i * 7 % 10))
        for i in range(10)])


@tool_test
def kafka_topics(tools, helper, topic):
    tools.run(TOPICS, "--create", "--topic", topic, "--partitions", "3", "--config",
              "retention.ms=12345678")
    found = tools.run(TOPICS, "--describe", "--topic", topic)
    contains(found, "PartitionCount: 3", "ReplicationFactor: 1", "retention.ms=12345678",
             "Partition: 2")
    if topic not in tools.run(TOPICS, "--list").split():
        raise AssertionError("the topic is not listed")
    tools.run(TOPICS, "--delete", "--topic", topic)
    eventually(lambda: helper.partitions(topic), 0, "partitions after delete")


@tool_test
def kafka_topics_errors(tools, helper, topic):
    make(helper, topic)
    for arguments, wanted in (
            (("--create", "--topic", topic), "already exists"),
            (("--delete", "--topic", f"{topic}-3"), "does not exist")):
        contains(refusal(tools.run, TOPICS, *arguments), wanted)


@tool_test
def kafka_configs(tools, helper, topic):
    helper.create(topic, 1, retention_ms="12345678")
    found = tools.run(CONFIGS, "--describe", "--all", "--entity-type", "topics", "--entity-name",
                      topic)
    contains(found, "retention.ms=12345678", "cleanup.policy=delete", "segment.bytes=")


@tool_test
def kafka_configs_alters_topics(tools, helper, topic):
    make(helper, topic)
    change = altering(tools, "topics", topic)
    contains(change("--add-config", "cleanup.policy=[compact,delete],retention.ms=12345678"),
             f"Completed updating config for topic {topic}")
    await_described(tools, "topics", topic, {
        "cleanup.policy": "compact,delete", "retention.ms": "12345678"})
    change("--delete-config", "cleanup.policy,no.such.config")  # the second is no error in Kafka
    await_described(tools, "topics", topic, {"retention.ms": "12345678"})
    for refused in ("retention.ms=soon", "no.such.config=1"):
        contains(refusal(change, "--add-config", refused), "InvalidConfigurationException")
    contains(refusal(altering(tools, "topics", f"{topic}-missing"), "--add-config",
                     "retention.ms=1"), "UnknownTopicOrPartitionException")


@tool_test
def kafka_configs_alters_groups(tools, helper, group):
    change = altering(tools, "groups", group)
    change("--add-config", "consumer.heartbeat.interval.ms=7000,consumer.session.timeout.ms=50000")
    await_described(tools, "groups", group, {
        "consumer.heartbeat.interval.ms": "7000", "consumer.session.timeout.ms": "50000"})
    contains(tools.run(CONFIGS, "--describe", "--entity-type", "groups"), f"group {group} are:")
    contains(refusal(change, "--add-config", "consumer.session.timeout.ms=1"),
             "InvalidConfigurationException")
    change("--delete-config", "consumer.heartbeat.interval.ms,consumer.session.timeout.ms")
    await_described(tools, "groups", group, {})


def altering(tools, kind, name):
    return functools.partial(
        tools.run, CONFIGS, "--alter", "--entity-type", kind, "--entity-name", name)


def await_described(tools, kind, name, wanted):
    """Waits until these are the configs of its own that kafka-configs shows."""
    def found():
        output = tools.run(CONFIGS, "--describe", "--entity-type", kind, "--entity-name", name)
        return dict(re.findall(r"^  (\S+?)=(\S*) sensitive=false", output, re.MULTILINE))

    eventually(found, wanted, "configs that kafka-configs shows")


@tool_test
def kafka_topics_alters(tools, helper, topic):
    make(helper, topic, 2)
    grow = functools.partial(tools.run, TOPICS, "--alter", "--topic", topic, "--partitions")
    grow("5")
    contains(tools.run(TOPICS, "--describe", "--topic", topic), "PartitionCount: 5")
    for partitions in ("5", "2"):
        contains(refusal(grow, partitions), "InvalidPartitionsException")
    eventually(lambda: helper.led("ends", topic=topic), [0] * 5, "ends after the growth")


@tool_test
def kafka_broker_api_versions_and_configs(tools, helper, topic):
    found = tools.run(API_VERSIONS)
    for api in ("Produce(0)", "Fetch(1)", "ListOffsets(2)", "Metadata(3)", "ApiVersions(18)",
                "CreateTopics(19)", "DeleteTopics(20)", "InitProducerId(22)"):
        if not re.search(re.escape(api) + r": .*\[usable: \d+\]", found):
            raise AssertionError(f"{api} is not usable: {found}")
    broker = re.search(r"\(id: (\d+)", found)[1]
    configs = tools.run(CONFIGS, "--describe", "--all", "--entity-type", "brokers", "--entity-name",
                        broker)
    contains(configs, "auto.create.topics.enable=", "num.partitions=")


@tool_test
def kafka_get_offsets(tools, helper, topic):
    ten_records(helper, topic)
    for time_, wanted in (("-1", 10), ("-3", 7)):
        found = tools.run(GET_OFFSETS, "--topic", topic, "--time", time_)
        expect(found.split(), [f"{topic}:0:{wanted}"], f"kafka-get-offsets --time {time_}")


@tool_test
def console_producer(tools, helper, topic):
    make(helper, topic)
    tools.run(CONSOLE_PRODUCER, "--topic", topic, "--compression-codec", "zstd",
              "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true",
              input="h:x\tk1\tv1\nh:y\tk2\tžluť 水\n")
    found = helper.consume(topic, 0, 2)
    expect([(r.headers, r.key, r.value.decode()) for r in found],
           [([("h", b"x")], b"k1", "v1"), ([("h", b"y")], b"k2", "žluť 水")], "records")


@tool_test
def console_consumer(tools, helper, topic):
    ten_records(helper, topic)
    shown = ["--formatter-property", "print.key=true", "--formatter-property", "print.offset=true",
             "--formatter-property", "print.headers=true"]
    lines = [f"Offset:{i}\th:x\tkey-{i}\tvalue-{i}" for i in range(10)]
    for offset, wanted in (("earliest", lines), ("4", lines[4:])):
        found = tools.run(
            CONSOLE_CONSUMER, "--topic", topic, "--partition", "0", "--offset", offset,
            "--max-messages", str(len(wanted)), "--timeout-ms", "20000", *shown)
        expect(found.splitlines(), wanted, f"output from {offset}")


@tool_test
def kafka_dump_log(tools, helper, topic):
    if tools.log_dir is None:
        raise Unsupported("no --log-dir was given")
    helper.create(topic, segment_bytes=str(1 << 20))
    values = [f"marker-{topic}-{i}" for i in range(10)]
    helper.produce(topic, [Record(value.encode(), partition=0) for value in values])
    # Only sealed segments are promised to have their exact length: fill this one and start the next.
    filler = [Record(bytes(100_000), partition=0) for _ in range(12)]
    helper.produce(topic, filler)
    segment = sealed(segment_with(tools.log_dir, values[0].encode()))
    found = checked([*tools.java, DUMP_LOG, "--deep-iteration", "--print-data-log", "--files",
                     str(segment)])
    contains(found, *(f"payload: {value}" for value in values))


def sealed(segment, wait_s=20):
    """Waits until the next segment has been written, which follows the sealing of this one."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if len(list(segment.parent.glob("*.log"))) > 1:
            return segment
        time.sleep(0.5)
    raise AssertionError(f"no segment follows {segment}")


def segment_with(log_dir, marker, wait_s=20):
    """The segment file that holds a record; a broker may write it a while after acknowledging."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        for path in pathlib.Path(log_dir).rglob("*.log"):
            if marker in path.read_bytes():
                return path
        time.sleep(0.5)
    raise AssertionError(f"no *.log file below {log_dir} holds the record")
