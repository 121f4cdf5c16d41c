import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;

/** The operations on members of consumer groups. */
final class Groups {
    private static final Duration POLL = Duration.ofMillis(50);
    private static final int HEARTBEAT_MS = 500;
    private static final int METADATA_MS = 500;
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", RangeAssignor.class.getName(),
        "cooperative-sticky", CooperativeStickyAssignor.class.getName());

    private static final class Member implements ConsumerRebalanceListener {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private List<Object> events = new ArrayList<>();

        Member(KafkaConsumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
        }

        void subscribe(JsonNode request) {
            if (request.get("pattern").isNull()) {
                List<String> topics = new ArrayList<>();
                request.get("topics").forEach(topic -> topics.add(topic.asText()));
                consumer.subscribe(topics, this);
            } else if (request.get("protocol").asText().equals("consumer")) {
                consumer.subscribe(new SubscriptionPattern(request.get("pattern").asText()), this);
            } else {
                consumer.subscribe(Pattern.compile(request.get("pattern").asText()), this);
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            events.add(List.of("assigned", places(assigned)));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            events.add(List.of("revoked", places(revoked)));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> lost) {
            events.add(List.of("lost", places(lost)));
        }

        void poll(List<Object> found) {
            consumer.poll(POLL).forEach(record -> found.add(
                List.of(record.topic(), record.partition(), record.offset())));
        }

        Map<String, Object> told(List<Object> records) {
            List<Object> noted = events;
            events = new ArrayList<>();
            return Map.of(
                "records", records, "held", places(consumer.assignment()), "events", noted);
        }
    }

    private final Records clients;
    private final Map<String, Member> members = new HashMap<>();

    Groups(Records clients) {
        this.clients = clients;
    }

    Object open(JsonNode request) {
        String id = request.get("id").asText();
        Map<String, Object> settings = new HashMap<>(Map.of(
            "client.id", id, "group.id", request.get("group").asText(),
            "enable.auto.commit", false, "auto.offset.reset", "earliest",
            "metadata.max.age.ms", METADATA_MS));
        if (request.get("protocol").asText().equals("classic")) {
            settings.put("session.timeout.ms", request.get("session_ms").asInt());
            settings.put("heartbeat.interval.ms", HEARTBEAT_MS);
            settings.put(
                "partition.assignment.strategy", ASSIGNORS.get(request.get("assignor").asText()));
        } else if (!request.get("assignor").isNull()) {
            settings.put("group.remote.assignor", request.get("assignor").asText());
        }
        if (!request.get("instance").isNull()) {
            settings.put("group.instance.id", request.get("instance").asText());
        }
        Member member = new Member(clients.consumer(settings));
        member.subscribe(request);
        members.put(id, member);
        return null;
    }

    Object poll(JsonNode request) {
        long deadline = System.currentTimeMillis() + request.get("ms").asLong();
        Map<String, List<Object>> found = new HashMap<>();
        request.get("ids").forEach(id -> found.put(id.asText(), new ArrayList<>()));
        while (System.currentTimeMillis() < deadline) {
            found.forEach((id, records) -> members.get(id).poll(records));
        }
        Map<String, Object> told = new HashMap<>();
        found.forEach((id, records) -> told.put(id, members.get(id).told(records)));
        return told;
    }

    Object commit(JsonNode request) {
        Member member = members.get(request.get("id").asText());
        if (request.get("offsets").isNull()) {
            member.consumer.commitSync();
        } else {
            member.consumer.commitSync(byPlace(request.get("offsets")));
        }
        return null;
    }

    Object close(JsonNode request) {
        members.remove(request.get("id").asText()).consumer.close();
        return null;
    }

    static Map<TopicPartition, OffsetAndMetadata> byPlace(JsonNode offsets) {
        Map<TopicPartition, OffsetAndMetadata> found = new HashMap<>();
        for (JsonNode offset : offsets) {
            Optional<Integer> epoch = Optional.of(offset.get(4).asInt()).filter(e -> e >= 0);
            found.put(place(offset), new OffsetAndMetadata(
                offset.get(2).asLong(), epoch, offset.get(3).asText()));
        }
        return found;
    }

    static TopicPartition place(JsonNode place) {
        return new TopicPartition(place.get(0).asText(), place.get(1).asInt());
    }

    static List<Object> places(Collection<TopicPartition> partitions) {
        List<Object> found = new ArrayList<>();
        partitions.forEach(place -> found.add(List.of(place.topic(), place.partition())));
        return found;
    }
}
