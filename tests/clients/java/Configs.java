import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.config.ConfigResource;

/** The operations of the admin client on configs. */
final class Configs {
    private final Admin admin;

    Configs(Admin admin) {
        this.admin = admin;
    }

    Map<String, String> ofTopic(JsonNode request) throws Exception {
        Map<String, String> values = new HashMap<>();
        for (ConfigEntry entry : described("topic", request.get("topic"))) {
            values.put(entry.name(), entry.value());
        }
        return values;
    }

    Map<String, List<String>> ofGroup(JsonNode request) throws Exception {
        Map<String, List<String>> found = new HashMap<>();
        for (ConfigEntry entry : described("group", request.get("group"))) {
            found.put(entry.name(), List.of(entry.value(), entry.source().toString()));
        }
        return found;
    }

    Object alter(JsonNode request) throws Exception {
        if (request.get("replacing").asBoolean()) {
            throw new ClientAdapter.Unsupported("Java's clients have no such request any more");
        }
        List<AlterConfigOp> changes = new ArrayList<>();
        request.get("changes").properties().forEach(
            change -> changes.add(operation(change.getKey(), change.getValue())));
        ConfigResource resource = resource(request.get("kind").asText(), request.get("name"));
        return admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
    }

    private Collection<ConfigEntry> described(String kind, JsonNode name) throws Exception {
        ConfigResource resource = resource(kind, name);
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).entries();
    }

    private static ConfigResource resource(String kind, JsonNode name) {
        return new ConfigResource(
            ConfigResource.Type.valueOf(kind.toUpperCase(Locale.ROOT)), name.asText());
    }

    private static AlterConfigOp operation(String name, JsonNode value) {
        return value.isNull()
            ? new AlterConfigOp(new ConfigEntry(name, null), AlterConfigOp.OpType.DELETE)
            : new AlterConfigOp(new ConfigEntry(name, value.asText()), AlterConfigOp.OpType.SET);
    }
}
