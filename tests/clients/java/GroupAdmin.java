import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

/** The operations of the admin client on consumer groups. */
final class GroupAdmin {
    private static final int NO_EPOCH = -1;

    private final Admin admin;

    GroupAdmin(Admin admin) {
        this.admin = admin;
    }

    Map<String, Object> list() throws Exception {
        Map<String, Object> states = new HashMap<>();
        admin.listGroups().all().get().forEach(group -> states.put(
            group.groupId(), group.groupState().map(GroupState::toString).orElse(null)));
        return states;
    }

    Map<String, Object> describe(JsonNode request) throws Exception {
        String group = request.get("group").asText();
        var found = admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
        List<Object> members = new ArrayList<>();
        for (MemberDescription member : found.members()) {
            members.add(Arrays.asList(
                member.groupInstanceId().orElse(null), member.clientId(),
                Groups.places(member.assignment().topicPartitions())));
        }
        return Map.of("state", found.groupState().toString(), "members", members);
    }

    List<Object> offsets(JsonNode request) throws Exception {
        String group = request.get("group").asText();
        List<Object> offsets = new ArrayList<>();
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach(
            (place, found) -> offsets.add(List.of(
                place.topic(), place.partition(), found.offset(), found.metadata(),
                found.leaderEpoch().orElse(NO_EPOCH))));
        return offsets;
    }

    Object alter(JsonNode request) throws Exception {
        return admin.alterConsumerGroupOffsets(
            request.get("group").asText(), Groups.byPlace(request.get("offsets"))).all().get();
    }

    Object forget(JsonNode request) throws Exception {
        Set<TopicPartition> places = new HashSet<>();
        request.get("places").forEach(place -> places.add(Groups.place(place)));
        return admin.deleteConsumerGroupOffsets(
            request.get("group").asText(), places).all().get();
    }

    Object delete(JsonNode request) throws Exception {
        return admin.deleteConsumerGroups(List.of(request.get("group").asText())).all().get();
    }
}
