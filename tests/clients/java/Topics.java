import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** The operations of the admin client on topics. */
final class Topics {
    private final Admin admin;

    Topics(Admin admin) {
        this.admin = admin;
    }

    Object create(JsonNode request) throws Exception {
        Map<String, String> configs = new HashMap<>();
        request.get("configs").properties().forEach(
            field -> configs.put(field.getKey(), field.getValue().asText()));
        short replication = (short) request.get("replication").asInt();
        NewTopic topic = new NewTopic(
            request.get("topic").asText(), request.get("partitions").asInt(), replication);
        admin.createTopics(List.of(topic.configs(configs))).all().get();
        return null;
    }

    Object delete(JsonNode request) throws Exception {
        admin.deleteTopics(List.of(request.get("topic").asText())).all().get();
        return null;
    }

    int partitions(String topic) throws Exception {
        try {
            return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic)
                .partitions().size();
        } catch (ExecutionException error) {
            if (error.getCause() instanceof UnknownTopicOrPartitionException) {
                return 0;
            }
            throw error;
        }
    }

    Object grow(JsonNode request) throws Exception {
        NewPartitions wanted = NewPartitions.increaseTo(request.get("partitions").asInt());
        admin.createPartitions(Map.of(request.get("topic").asText(), wanted)).all().get();
        return null;
    }

    long offset(JsonNode request) throws Exception {
        TopicPartition place = new TopicPartition(
            request.get("topic").asText(), request.get("partition").asInt());
        if (place.partition() >= partitions(place.topic())) {
            throw new ClientAdapter.Unsupported(
                "Java's clients ask for a missing partition until they time out");
        }
        OffsetSpec spec = switch (request.get("at").asText()) {
            case "earliest" -> OffsetSpec.earliest();
            case "latest" -> OffsetSpec.latest();
            case "max_timestamp" -> OffsetSpec.maxTimestamp();
            default -> OffsetSpec.forTimestamp(request.get("at").asLong());
        };
        return admin.listOffsets(Map.of(place, spec)).partitionResult(place).get().offset();
    }
}
