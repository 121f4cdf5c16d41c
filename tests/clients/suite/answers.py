"""Single requests in chosen versions, and what Apache Kafka 4.3.1 answers to them.

Fields are named as in franz-go's `kmsg`; a request lists those that are not the default.
"""

import base64
import pathlib
import subprocess

from protocol import Record
from report import eventually, expect
from scenarios import make, noise

FETCH, METADATA, FIND_COORDINATOR, DESCRIBE_GROUPS, SASL_HANDSHAKE = 1, 3, 10, 15, 17
CREATE_TOPICS, INIT_PRODUCER_ID, DESCRIBE_CONFIGS, ALTER_CONFIGS = 19, 22, 32, 33
INCREMENTAL_ALTER_CONFIGS, CONSUMER_GROUP_HEARTBEAT = 44, 68

UNKNOWN_TOPIC_OR_PARTITION, ILLEGAL_SASL_STATE, INVALID_CONFIG = 3, 34, 40
INVALID_REQUEST, GROUP_ID_NOT_FOUND, FETCH_SESSION_ID_NOT_FOUND, UNKNOWN_TOPIC_ID = 42, 69, 70, 100
INVALID_REGULAR_EXPRESSION = 128

ZERO_ID, UNKNOWN_ID = base64.b64encode(bytes(16)).decode(), base64.b64encode(b"?" * 16).decode()
TOPIC = 2
SET, APPEND, SUBTRACT = 0, 2, 3
GROUP_OPERATIONS, NOT_ASKED = 3400, -(2 ** 31)
TABLE = pathlib.Path(__file__).resolve().parents[3] / "engine/core/src/group/pattern/table.tsv"

TESTS = []


def answer_test(body):
    TESTS.append(("answers/" + body.__name__.replace("_", "-"), body))
    return body


class Asker:
    """Asks one broker; `made` makes a topic that it has not made yet."""

    def __init__(self, wire, helper):
        self.wire, self.helper, self.topics = wire, helper, {}

    def ask(self, key, version, **body):
        return self.wire.call("ask", key=key, version=version, body=body)

    def made(self, topic, partitions=1):
        """The id of the topic."""
        if topic not in self.topics:
            make(self.helper, topic, partitions)
            found = self.ask(METADATA, 12, Topics=[{"Topic": topic}])["Topics"][0]["TopicID"]
            self.topics[topic] = base64.b64encode(bytes(found)).decode()
        return self.topics[topic]


def run_all(report, wire, helper, stock, prefix):
    asker = Asker(wire, helper)
    for name, body in TESTS:
        report.test(name, lambda: body(asker, f"{prefix}-{name.replace('/', '-')}"))
    report.test("answers/patterns", lambda: patterns(stock))


def patterns(stock):
    """The table that the engine's tests hold, against the library that Kafka compiles them with."""
    done = subprocess.run([*stock.java, "Patterns", TABLE], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise AssertionError(f"{TABLE}: {done.stdout}{done.stderr}")


@answer_test
def metadata_by_id(asker, topic):
    known = asker.made(topic)
    for version in (10, 11, 12, 13):
        old = version < 12
        for wanted, codes, brokers in (
                ([(UNKNOWN_ID, None)], [INVALID_REQUEST if old else UNKNOWN_TOPIC_ID], not old),
                ([(known, None)], [INVALID_REQUEST if old else 0], not old),
                ([(known, topic)], [INVALID_REQUEST if old else 0], not old),
                ([(known, None), (known, None)], [INVALID_REQUEST] * 2 if old else [0], not old),
                # A topic by id: names do not count.
                ([(ZERO_ID, "other"), (known, None)], [INVALID_REQUEST] * 2 if old else [0],
                 not old),
                ([(ZERO_ID, topic), (ZERO_ID, topic)], [0], True),
                ([(ZERO_ID, "other")], [UNKNOWN_TOPIC_OR_PARTITION], True)):
            found = asker.ask(METADATA, version, AllowAutoTopicCreation=False, Topics=[
                {"TopicID": topic_id, "Topic": name} for topic_id, name in wanted])
            what = f"version {version}, {wanted}"
            expect([t["ErrorCode"] for t in found["Topics"]], codes, what)
            expect(bool(found["Brokers"]), brokers, f"brokers told, {what}")
        if old:
            # Newer versions make Kafka fail with an error of its own.
            found = asker.ask(METADATA, version, Topics=[{"TopicID": ZERO_ID, "Topic": None}])
            expect(found["Topics"][0]["ErrorCode"], INVALID_REQUEST, "neither id nor name")


@answer_test
def fetch_sizes(asker, topic):
    """One batch is larger than asked for, the first one, if it must be."""
    topic_id = asker.made(topic, 4)
    for partition in (1, 2, 3):
        for index in range(3):
            asker.helper.produce(topic, [Record(noise(index, 1_000), partition=partition)])
    for version in (4, 12, 16):
        for limits, max_bytes, complete in (
                ((10, 10, 10, 10), 1 << 20, (0, 1, 0, 0)),
                ((10, 10, 1_500, 10), 1 << 20, (0, 1, 1, 0)),
                ((10, 1_500, 1_500, 1_500), 1 << 20, (0, 1, 1, 1)),
                ((0, 0, 0, 0), 1 << 20, (0, 1, 0, 0)),
                ((1_500, 1_500, 1_500, 1_500), 0, (0, 1, 0, 0))):
            found = fetch(asker, version, topic, topic_id, limits, MaxBytes=max_bytes)
            # Kafka sends the beginning of a batch, too.
            batches = tuple(
                len(base64.b64decode(p["RecordBatches"] or "")) // 1_000 for p in partitions(found))
            expect(batches, complete, f"batches, version {version}, {limits}, {max_bytes}")


@answer_test
def fetch_sessions(asker, topic):
    topic_id = asker.made(topic)
    for version in (7, 12, 16):
        for session, epoch, code in (
                (0, -1, 0), (0, 0, 0), (77, -1, 0), (77, 0, 0), (-1, 0, 0),
                (0, 1, FETCH_SESSION_ID_NOT_FOUND), (77, 1, FETCH_SESSION_ID_NOT_FOUND),
                (77, -2, FETCH_SESSION_ID_NOT_FOUND)):
            found = fetch(
                asker, version, topic, topic_id, [10], SessionID=session, SessionEpoch=epoch)
            what = f"version {version}, session {session}, epoch {epoch}"
            expect(found["ErrorCode"], code, what)
            expect(len(partitions(found)), 0 if code else 1, f"partitions told, {what}")


def fetch(asker, version, topic, topic_id, limits, **fields):
    return asker.ask(FETCH, version, MaxWaitMillis=0, MinBytes=0, **fields, Topics=[{
        "Topic": topic, "TopicID": topic_id, "Partitions": [
            {"Partition": partition, "PartitionMaxBytes": limit}
            for partition, limit in enumerate(limits)]}])


def partitions(fetched):
    return [p for topic in fetched["Topics"] or [] for p in topic["Partitions"]]


@answer_test
def producer_ids(asker, topic):
    def initialised(**fields):
        return asker.ask(INIT_PRODUCER_ID, 4, TransactionTimeoutMillis=60_000, **fields)["ErrorCode"]

    eventually(initialised, 0, "a producer id")
    for producer, epoch, code in (
            (-1, -1, 0), (5, 5, 0), (5, -1, INVALID_REQUEST), (-1, 5, INVALID_REQUEST),
            (-2, -1, INVALID_REQUEST)):
        found = initialised(ProducerID=producer, ProducerEpoch=epoch)
        expect(found, code, f"producer {producer}, epoch {epoch}")
    expect(initialised(TransactionalID=""), INVALID_REQUEST, "an empty transactional id")


@answer_test
def groups_that_are_not_there(asker, topic):
    for group in ("", topic):
        def described(version, include):
            found = asker.ask(DESCRIBE_GROUPS, version, Groups=[group],
                              IncludeAuthorizedOperations=include)["Groups"][0]
            return found["ErrorCode"], found["State"], found["AuthorizedOperations"]

        asker.ask(FIND_COORDINATOR, 4, CoordinatorKeys=[group])
        eventually(lambda: described(5, False), (0, "Dead", NOT_ASKED), f"group {group!r}")
        expect(described(5, True), (0, "Dead", GROUP_OPERATIONS), f"group {group!r}")
        expect(described(6, True)[::2], (GROUP_ID_NOT_FOUND, NOT_ASKED), f"group {group!r}")


@answer_test
def lists_in_configs(asker, topic):
    """What is set, the change, the code, and what is set then."""
    asker.made(topic)
    for before, operation, value, code, after in (
            ("delete", APPEND, "", INVALID_CONFIG, "delete"),
            ("delete", APPEND, ",", 0, "delete"),
            ("delete", APPEND, "compact,", 0, "delete,compact"),
            ("delete", APPEND, "compact,,delete", INVALID_CONFIG, "delete"),
            ("delete", APPEND, "none", INVALID_CONFIG, "delete"),
            ("delete", APPEND, None, INVALID_REQUEST, "delete"),
            ("compact", APPEND, " compact", 0, "compact"),
            ("compact", SUBTRACT, " compact", 0, "compact"),
            ("compact", SUBTRACT, "", 0, "compact"),
            ("compact", SUBTRACT, "compact,delete", 0, ""),
            ("compact", SET, "delete,delete", 0, "delete"),
            ("compact", SET, " delete, compact", 0, "delete,compact"),
            ("compact", SET, "", 0, ""),
            ("compact", SET, "delete,", INVALID_CONFIG, "compact")):
        expect(alter(asker, topic, SET, before), 0, "the beginning")
        what = f"{before}, {operation} {value!r}"
        expect(alter(asker, topic, operation, value), code, what)
        eventually(lambda: policy(asker, topic), after, what)
    for value, code in (
            ("delete,delete", 0), ("delete, compact", 0), ("", 0), ("delete,", INVALID_CONFIG),
            ("compact,,delete", INVALID_CONFIG), (",", INVALID_CONFIG)):
        new = {"Topic": f"{topic}-new", "NumPartitions": 1, "ReplicationFactor": 1,
               "Configs": [{"Name": "cleanup.policy", "Value": value}]}
        found = asker.ask(CREATE_TOPICS, 7, ValidateOnly=True, Topics=[new])
        expect(found["Topics"][0]["ErrorCode"], code, f"a new topic with {value!r}")
        resource = {"ResourceType": TOPIC, "ResourceName": topic,
                    "Configs": [{"Name": "cleanup.policy", "Value": value}]}
        found = asker.ask(ALTER_CONFIGS, 2, ValidateOnly=True, Resources=[resource])
        expect(found["Resources"][0]["ErrorCode"], code, f"all configs anew, {value!r}")


def alter(asker, topic, operation, value):
    resource = {"ResourceType": TOPIC, "ResourceName": topic,
                "Configs": [{"Name": "cleanup.policy", "Op": operation, "Value": value}]}
    found = asker.ask(INCREMENTAL_ALTER_CONFIGS, 1, Resources=[resource])
    return found["Resources"][0]["ErrorCode"]


def policy(asker, topic):
    resource = {"ResourceType": TOPIC, "ResourceName": topic, "ConfigNames": ["cleanup.policy"]}
    found = asker.ask(DESCRIBE_CONFIGS, 4, Resources=[resource])
    return found["Resources"][0]["Configs"][0]["Value"]


@answer_test
def sasl_without_sasl(asker, topic):
    for version in (0, 1):
        for mechanism in ("PLAIN", "none", ""):
            found = asker.ask(SASL_HANDSHAKE, version, Mechanism=mechanism)
            expect((found["ErrorCode"], found["SupportedMechanisms"] or []),
                   (ILLEGAL_SASL_STATE, []), f"version {version}, {mechanism!r}")


@answer_test
def patterns_that_are_refused(asker, topic):
    """The same table, against the broker."""
    def joined(group, pattern):
        return asker.ask(CONSUMER_GROUP_HEARTBEAT, 1, Group=group, MemberID="m", MemberEpoch=0,
                         RebalanceTimeoutMillis=5_000, SubscribedTopicRegex=pattern,
                         Topics=[])["ErrorCode"]

    asker.ask(FIND_COORDINATOR, 4, CoordinatorKeys=[topic])
    eventually(lambda: joined(topic, "a"), 0, "the coordinator")
    for row, line in enumerate(TABLE.read_text().splitlines()[1:]):
        pattern, matched = line.split("\t")
        code = INVALID_REGULAR_EXPRESSION if matched == "!" else 0
        # The coordinator of the next group may not be there yet.
        eventually(lambda: joined(f"{topic}-{row}", pattern), code, f"pattern {pattern}")
