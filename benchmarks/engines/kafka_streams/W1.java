import static com.gliwka.hyperscan.jni.hyperscan.*;
import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.*;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.gliwka.hyperscan.jni.*;
import java.io.*;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.time.*;
import java.util.*;
import java.util.regex.Pattern;
import java.util.stream.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.state.*;
import org.bytedeco.javacpp.*;

/** W1 on Kafka Streams: lines are matched, matches go to a topic, and counts of closed windows to another. */
public final class W1 {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final Duration WINDOW = Duration.ofSeconds(10);

    /** One run, as job.py has it. */
    record Job(String how, String brokers, String source, long lines, String matches, String counts, String group,
            String directory) {
        Path file(String name) {
            return Path.of(directory, name);
        }
    }

    /** A matched line; its pattern by number. */
    record Match(long atMs, String service, int pattern) {}

    /** A line as producers write it. */
    record Line(String ts, String service, String message) {
        Match matched(int pattern) {
            return pattern < 0 ? null : new Match(Instant.parse(ts).toEpochMilli(), service, pattern);
        }
    }

    /** From a record's value to its match, null for most. */
    interface Matching {
        Match match(byte[] value) throws IOException;
    }

    /** Same work: a streaming decoder, and Logmend's databases of expressions with what their matches mean. */
    static final class Same implements Matching {
        private static final int TEXT_BYTES_MAX = 8192;

        private final hs_scratch_t scratch = new hs_scratch_t();
        private final BytePointer text = new BytePointer(TEXT_BYTES_MAX);
        private final Scan tells;
        private final Scan weighs;
        private byte[] lastText = {};
        private int lastPattern = -1;

        Same(Job job) throws IOException {
            tells = new Scan(job, "tells");
            weighs = new Scan(job, "weighs");
        }

        /** What an expression's match means: a kind, and the number of the rule that it is of. */
        record Meaning(String kind, int rule) {}

        /** One database, and what it found in the text. */
        final class Scan extends match_event_handler {
            private final hs_database_t database = new hs_database_t();
            private final Meaning[] meanings;
            private final List<Meaning> found = new ArrayList<>();

            Scan(Job job, String name) throws IOException {
                meanings = Files.readAllLines(job.file(name)).stream().map(line -> line.split(" "))
                        .map(row -> new Meaning(row[0], Integer.parseInt(row[1]))).toArray(Meaning[]::new);
                byte[] bytes = Files.readAllBytes(job.file(name + ".hsdb"));
                if (hs_deserialize_database(new BytePointer(bytes), bytes.length, database) != 0
                        || hs_alloc_scratch(database, scratch) != 0) {
                    throw new IOException(name + ": Vectorscan does not take this database");
                }
            }

            @Override
            public int call(int expression, long from, long to, int flags, Pointer context) {
                found.add(meanings[expression]);
                return 0;
            }

            List<Meaning> in(int length) {
                found.clear();
                hs_scan(database, text, length, 0, scratch, this, null);
                return found;
            }
        }

        @Override
        public Match match(byte[] value) throws IOException {
            Line line = decode(value);
            byte[] bytes = line.message.getBytes(UTF_8);
            if (!Arrays.equals(bytes, lastText)) {
                lastPattern = pattern(bytes);
                lastText = bytes;
            }
            return line.matched(lastPattern);
        }

        private static Line decode(byte[] value) throws IOException {
            String ts = null, service = null, message = null;
            try (JsonParser parser = MAPPER.createParser(value)) {
                parser.nextToken();
                for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                    String text = parser.nextTextValue();
                    switch (name) {
                        case "ts" -> ts = text;
                        case "service" -> service = text;
                        case "message" -> message = text;
                        default -> parser.skipChildren();
                    }
                }
            }
            return new Line(ts, service, message);
        }

        /** Return the first rule that is told of and not taken back, as streams/ingest/matcher.py does; -1: none. */
        private int pattern(byte[] bytes) {
            int length = Math.min(bytes.length, TEXT_BYTES_MAX);
            text.put(bytes, 0, length);
            List<Meaning> told = tells.in(length);
            List<Meaning> weighed = told.isEmpty() ? List.of() : weighs.in(length);
            Set<String> kinds = weighed.stream().map(Meaning::kind).collect(Collectors.toSet());
            return told.stream()
                    .filter(one -> one.kind.equals("attack") || one.kind.equals("rule") && !kinds.contains("served"))
                    .filter(one -> !kinds.contains("benign") && !weighed.contains(new Meaning("unless", one.rule)))
                    .mapToInt(Meaning::rule).min().orElse(-1);
        }
    }

    /** As normally written: an object mapper, and one regular expression after the other. */
    static final class Usual implements Matching {
        private final List<Pattern> patterns;

        Usual(Job job) throws IOException {
            patterns = Files.readAllLines(job.file("expressions")).stream()
                    .map(text -> Pattern.compile(text, Pattern.CASE_INSENSITIVE)).toList();
        }

        @Override
        public Match match(byte[] value) throws IOException {
            Line line = MAPPER.readValue(value, Line.class);
            return line.matched(IntStream.range(0, patterns.size())
                    .filter(index -> patterns.get(index).matcher(line.message).find()).findFirst().orElse(-1));
        }
    }

    /** Passes on what matched, at its own time, by the same key. A thread's first line has what matches made. */
    static final class Matcher extends ContextualFixedKeyProcessor<byte[], byte[], Match> {
        private static final ThreadLocal<Matching> MATCHING = new ThreadLocal<>();
        private final Job job;

        Matcher(Job job) {
            this.job = job;
        }

        @Override
        public void process(FixedKeyRecord<byte[], byte[]> line) {
            try {
                if (MATCHING.get() == null) {
                    MATCHING.set(job.how.equals("same") ? new Same(job) : new Usual(job));
                    Files.writeString(job.file("began"), String.valueOf(System.currentTimeMillis() / 1000.0));
                }
                Match found = MATCHING.get().match(line.value());
                if (found != null) {
                    context().forward(line.withValue(found).withTimestamp(found.atMs));
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    /** Return the topology. Counts are of a service, the key that lines have, so that nothing is sent anew by key. */
    static Topology topology(Job job) throws IOException {
        List<String> names = Files.readAllLines(job.file("patterns"));
        Produced<byte[], byte[]> bytes = Produced.with(Serdes.ByteArray(), Serdes.ByteArray());
        StreamsBuilder builder = new StreamsBuilder();
        KStream<byte[], Match> found = builder.stream(job.source, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .processValues(() -> new Matcher(job));
        found.mapValues(one -> Map.of("at_ms", one.atMs, "service", one.service, "pattern", names.get(one.pattern)))
                .mapValues(W1::json).to(job.matches, bytes);
        found.groupByKey().windowedBy(TimeWindows.ofSizeWithNoGrace(WINDOW))
                .aggregate(() -> new int[names.size()], (service, one, sums) -> {
                    sums[one.pattern]++;
                    return sums;
                }, store())
                .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded().withLoggingDisabled()))
                .toStream().flatMap((window, sums) -> rows(window, sums, names))
                .to(job.counts, bytes);
        return builder.build();
    }

    /** Return where counts are kept: in memory, without a changelog, for the other engines keep none. */
    private static Materialized<byte[], int[], WindowStore<Bytes, byte[]>> store() {
        Serializer<int[]> write = (topic, sums) -> {
            ByteBuffer buffer = ByteBuffer.allocate(sums.length * Integer.BYTES);
            buffer.asIntBuffer().put(sums);
            return buffer.array();
        };
        Deserializer<int[]> read = (topic, bytes) -> IntStream.range(0, bytes.length / Integer.BYTES)
                .map(index -> ByteBuffer.wrap(bytes).getInt(index * Integer.BYTES)).toArray();
        return Materialized.<byte[], int[]>as(Stores.inMemoryWindowStore("counts", WINDOW, WINDOW, false))
                .withKeySerde(Serdes.ByteArray()).withValueSerde(Serdes.serdeFrom(write, read))
                .withLoggingDisabled().withCachingDisabled();
    }

    private static List<KeyValue<byte[], byte[]>> rows(Windowed<byte[]> window, int[] sums, List<String> names) {
        String service = new String(window.key(), UTF_8);
        return IntStream.range(0, sums.length).filter(pattern -> sums[pattern] > 0)
                .mapToObj(pattern -> Map.of("window_ms", window.window().start(), "service", service,
                        "pattern", names.get(pattern), "count", sums[pattern]))
                .map(row -> KeyValue.pair(window.key(), json(row))).toList();
    }

    private static byte[] json(Map<String, ?> row) {
        try {
            return MAPPER.writeValueAsBytes(row);
        } catch (JsonProcessingException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** Run until SIGTERM. */
    public static void main(String[] arguments) throws IOException {
        Job job = MAPPER.readValue(arguments[0], Job.class);
        Properties settings = new Properties();
        settings.load(Files.newBufferedReader(job.file("settings")));
        KafkaStreams streams = new KafkaStreams(topology(job), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
    }
}
