import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.protocol.Errors;

/**
 * Adapter of Kafka's own Java clients, for the protocol in python/protocol.py.
 * Arguments: the consumer's group.protocol (classic or consumer), the bootstrap address.
 */
public final class ClientAdapter {
    static final class Unsupported extends RuntimeException {
        private static final long serialVersionUID = 1;

        Unsupported(String why) {
            super(why);
        }
    }

    private static final ObjectMapper JSON = new ObjectMapper();

    private final Topics topics;
    private final Configs configs;
    private final Records records;
    private final Groups groups;
    private final GroupAdmin groupAdmin;

    private ClientAdapter(String groupProtocol, String bootstrap) {
        Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        topics = new Topics(admin);
        configs = new Configs(admin);
        records = new Records(bootstrap, groupProtocol);
        groups = new Groups(records);
        groupAdmin = new GroupAdmin(admin);
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream replies = System.out;
        System.setOut(System.err); // a client that prints must not break the protocol
        ClientAdapter adapter = new ClientAdapter(arguments[0], arguments[1]);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            replies.println(JSON.writeValueAsString(adapter.answer(JSON.readTree(line))));
            replies.flush();
        }
        System.exit(0);
    }

    private Map<String, Object> answer(JsonNode request) {
        Map<String, Object> reply = new HashMap<>();
        try {
            reply.put("ok", perform(request));
        } catch (Unsupported error) {
            reply.put("unsupported", error.getMessage());
        } catch (Exception wrapped) {
            Throwable error = wrapped instanceof ExecutionException ? wrapped.getCause() : wrapped;
            int code = codeOf(error);
            reply.put(code > 0 ? "message" : "error", error.toString());
            if (code > 0) {
                reply.put("code", code);
            }
        }
        return reply;
    }

    private Object perform(JsonNode request) throws Exception {
        return switch (request.get("op").asText()) {
            case "create" -> topics.create(request);
            case "delete" -> topics.delete(request);
            case "partitions" -> topics.partitions(request.get("topic").asText());
            case "configs" -> configs.ofTopic(request);
            case "alter" -> configs.alter(request);
            case "grow" -> topics.grow(request);
            case "offset" -> topics.offset(request);
            case "produce" -> records.produce(request);
            case "consume" -> records.consume(request);
            case "group_open" -> groups.open(request);
            case "group_poll" -> groups.poll(request);
            case "group_commit" -> groups.commit(request);
            case "group_close" -> groups.close(request);
            case "group_list" -> groupAdmin.list();
            case "group_describe" -> groupAdmin.describe(request);
            case "group_offsets" -> groupAdmin.offsets(request);
            case "group_alter" -> groupAdmin.alter(request);
            case "group_forget" -> groupAdmin.forget(request);
            case "group_delete" -> groupAdmin.delete(request);
            case "group_configs" -> configs.ofGroup(request);
            default -> throw new IllegalArgumentException("no such operation");
        };
    }

    private static int codeOf(Throwable error) {
        if (error instanceof OffsetOutOfRangeException) {
            return Errors.OFFSET_OUT_OF_RANGE.code();
        }
        if (error instanceof TimeoutException && error.getMessage().contains("not present in")) {
            return Errors.UNKNOWN_TOPIC_OR_PARTITION.code();
        }
        return error instanceof ApiException ? Errors.forException(error).code() : 0;
    }
}
