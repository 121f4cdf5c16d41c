import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The operations of the producer and the consumer. */
final class Records {
    static final Duration POLL = Duration.ofMillis(100);
    private static final long EARLIEST = -2;
    private static final long LATEST = -1;
    private static final long WAIT_S = 30;

    private final String bootstrap;
    private final String groupProtocol;

    Records(String bootstrap, String groupProtocol) {
        this.bootstrap = bootstrap;
        this.groupProtocol = groupProtocol;
    }

    KafkaProducer<byte[], byte[]> producer(String codec, Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("compression.type", codec);
        all.put("max.block.ms", 5_000);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("group.protocol", groupProtocol);
        all.put("allow.auto.create.topics", false);
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    List<Long> produce(JsonNode request) throws Exception {
        Map<String, Object> settings = Map.of(
            "acks", request.get("acks").asText(),
            "enable.idempotence", request.get("idempotent").asBoolean(),
            "max.request.size", request.get("max_bytes").asInt());
        try (var producer = producer(request.get("codec").asText(), settings)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (JsonNode record : request.get("records")) {
                sent.add(producer.send(toSend(request.get("topic").asText(), record)));
            }
            List<Long> offsets = new ArrayList<>();
            for (Future<RecordMetadata> one : sent) {
                offsets.add(one.get(WAIT_S, TimeUnit.SECONDS).offset());
            }
            return request.get("acks").asText().equals("0") ? null : offsets;
        }
    }

    private static ProducerRecord<byte[], byte[]> toSend(String topic, JsonNode record)
            throws IOException {
        List<Header> headers = new ArrayList<>();
        for (JsonNode header : record.get("headers")) {
            headers.add(new RecordHeader(header.get(0).asText(), bytes(header.get(1))));
        }
        JsonNode partition = record.get("partition");
        JsonNode timestamp = record.get("timestamp");
        return new ProducerRecord<>(
            topic, partition.isNull() ? null : Integer.valueOf(partition.asInt()),
            timestamp.isNull() ? null : Long.valueOf(timestamp.asLong()),
            bytes(record.get("key")), bytes(record.get("value")), headers);
    }

    private static byte[] bytes(JsonNode base64) throws IOException {
        return base64.isNull() ? null : base64.binaryValue();
    }

    List<Object> consume(JsonNode request) {
        String reset = request.get("reset").asText();
        int count = request.get("count").asInt();
        Map<String, Object> settings = Map.of(
            "auto.offset.reset", reset.equals("error") ? "none" : reset,
            "max.poll.records", count,
            "max.partition.fetch.bytes", request.get("fetch_bytes").asInt());
        long deadline = System.currentTimeMillis() + request.get("wait_ms").asLong();
        List<Object> found = new ArrayList<>();
        try (var consumer = consumer(settings)) {
            assign(consumer, request);
            while (found.size() < count && System.currentTimeMillis() < deadline) {
                consumer.poll(POLL).forEach(record -> found.add(toJson(record)));
            }
        }
        return found;
    }

    private static void assign(KafkaConsumer<byte[], byte[]> consumer, JsonNode request) {
        Map<TopicPartition, Long> places = new HashMap<>();
        for (JsonNode place : request.get("start")) {
            places.put(new TopicPartition(
                request.get("topic").asText(), place.get(0).asInt()), place.get(1).asLong());
        }
        consumer.assign(places.keySet());
        places.forEach((place, offset) -> {
            if (offset == EARLIEST) {
                consumer.seekToBeginning(List.of(place));
            } else if (offset == LATEST) {
                consumer.seekToEnd(List.of(place));
            } else {
                consumer.seek(place, offset);
            }
        });
    }

    private static Map<String, Object> toJson(ConsumerRecord<byte[], byte[]> record) {
        List<Object> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            String value = header.value() == null
                ? null : Base64.getEncoder().encodeToString(header.value());
            headers.add(new String[] {header.key(), value});
        }
        Map<String, Object> fields = new HashMap<>();
        fields.put("partition", record.partition());
        fields.put("offset", record.offset());
        fields.put("timestamp", record.timestamp());
        fields.put("key", record.key());
        fields.put("value", record.value());
        fields.put("headers", headers);
        return fields;
    }
}
