import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** A file as records: line i goes to partition i modulo the number of partitions. */
final class Lines {
    private static final long SILENCE_MS = 30_000;

    /** What went through each partition: how many records, the SHA-256 of their values. */
    private static final class Tally {
        final long[] counts;
        private final MessageDigest[] digests;

        Tally(int partitions) throws NoSuchAlgorithmException {
            counts = new long[partitions];
            digests = new MessageDigest[partitions];
            for (int partition = 0; partition < partitions; partition++) {
                digests[partition] = MessageDigest.getInstance("SHA-256");
            }
        }

        void add(int partition, byte[] value) {
            counts[partition]++;
            digests[partition].update(value);
        }

        List<Object> result() {
            List<Object> result = new ArrayList<>();
            for (int partition = 0; partition < counts.length; partition++) {
                String digest = HexFormat.of().formatHex(digests[partition].digest());
                result.add(List.of(counts[partition], digest));
            }
            return result;
        }
    }

    private final Records records;

    Lines(Records records) {
        this.records = records;
    }

    List<Object> write(JsonNode request) throws Exception {
        String topic = request.get("topic").asText();
        int partitions = request.get("partitions").asInt();
        Tally tally = new Tally(partitions);
        AtomicReference<Exception> failure = new AtomicReference<>();
        Path path = Path.of(request.get("path").asText());
        try (var producer = records.producer(request.get("codec").asText(), Map.of());
                InputStream input = new BufferedInputStream(Files.newInputStream(path))) {
            int index = 0;
            for (byte[] line = next(input); line != null; line = next(input)) {
                int partition = index++ % partitions;
                tally.add(partition, line);
                producer.send(new ProducerRecord<>(topic, partition, null, line), (sent, error) -> {
                    if (error != null) {
                        failure.set(error);
                    }
                });
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
        return tally.result();
    }

    /** The next line without its end, null at the end of the file. */
    private static byte[] next(InputStream input) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        int octet = input.read();
        if (octet < 0) {
            return null;
        }
        for (; octet >= 0 && octet != '\n'; octet = input.read()) {
            line.write(octet);
        }
        return line.toByteArray();
    }

    List<Object> read(JsonNode request) throws Exception {
        JsonNode counts = request.get("counts");
        long wanted = 0;
        List<TopicPartition> places = new ArrayList<>();
        for (int partition = 0; partition < counts.size(); partition++) {
            places.add(new TopicPartition(request.get("topic").asText(), partition));
            wanted += counts.get(partition).asLong();
        }
        Tally tally = new Tally(counts.size());
        try (var consumer = records.consumer(Map.of("max.poll.records", 10_000))) {
            consumer.assign(places);
            consumer.seekToBeginning(places);
            long silent = System.currentTimeMillis() + SILENCE_MS;
            while (wanted > 0 && System.currentTimeMillis() < silent) {
                for (var record : consumer.poll(Records.POLL)) {
                    tally.add(record.partition(), record.value());
                    wanted--;
                    silent = System.currentTimeMillis() + SILENCE_MS;
                }
            }
        }
        return tally.result();
    }
}
