import java.io.File;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.zookeeper.ZooKeeper;

/**
 * Two brokers of Apache Kafka, each a process, that keep what they know of each other in the ZooKeeper at hand. Prints a
 * JSON object per case.
 *
 * Usage: {@code KafkaSession ADDRESS CONTROL DIRECTORY}: host:port of the server, the URL that kills and starts it, and
 * an empty directory.
 */
public final class KafkaSession {
    private static final int BROKERS = 2;
    private static final int PARTITIONS = 6;
    private static final int RECORDS = 1000;
    private static final long PATIENCE_MS = 60_000;
    private static final String TOPIC = "orders";

    private final String zookeeper;
    private final String control;
    private final Path directory;
    private final int[] ports = new int[BROKERS];
    private final Process[] brokers = new Process[BROKERS];
    private boolean hasFailed;

    private KafkaSession(String[] args) {
        zookeeper = args[0];
        control = args[1];
        directory = Path.of(args[2]);
    }

    public static void main(String[] args) throws Exception {
        KafkaSession session = new KafkaSession(args);
        try {
            session.play();
        } finally {
            for (Process broker : session.brokers) if (broker != null) broker.destroyForcibly().waitFor();
        }
        System.exit(0);
    }

    private void play() throws Exception {
        for (int id = 0; id < BROKERS; id++) {
            ports[id] = freePort();
            startBroker(id);
        }
        check("brokers find each other", () -> {
            try (Admin admin = admin()) {
                await("two brokers", () -> admin.describeCluster().nodes().get().size() == BROKERS);
            }
        });
        check("a topic is created, and both brokers lead", () -> {
            try (Admin admin = admin()) {
                admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) BROKERS))).all().get();
                await("leaders and replicas", () -> leaders(admin).size() == BROKERS && inSync(admin) == BROKERS);
            }
        });
        check("what is produced is consumed by a group", () -> {
            produce();
            consume("first", RECORDS);
        });
        check("a topic's configuration is changed", () -> {
            try (Admin admin = admin()) {
                ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
                ConfigEntry entry = new ConfigEntry("retention.ms", "123456789");
                AlterConfigOp change = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
                admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all().get();
                await("the new value", () -> admin.describeConfigs(List.of(topic)).all().get().get(topic)
                        .get("retention.ms").value().equals("123456789"));
            }
        });
        check("the controller is killed, and the other broker takes over", () -> {
            int killed = controller();
            brokers[killed].destroyForcibly().waitFor();
            await("another controller", () -> controller() == 1 - killed);
            try (Admin admin = admin()) {
                await("one leader", () -> leaders(admin).equals(Set.of(1 - killed)));
            }
            produce();
            startBroker(killed);
        });
        check("the broker that comes back is in sync again", () -> {
            try (Admin admin = admin()) {
                await("all replicas", () -> inSync(admin) == BROKERS);
            }
        });
        check("the server is killed and started, and both brokers go on", () -> {
            ask("/stop");
            ask("/start");
            try (Admin admin = admin()) {
                await("a second topic", () -> {
                    if (!admin.listTopics().names().get().contains("second")) {
                        admin.createTopics(List.of(new NewTopic("second", 1, (short) BROKERS))).all().get();
                    }
                    return true;
                });
                await("all replicas", () -> inSync(admin) == BROKERS);
            }
            consume("second", 2 * RECORDS);
        });
        check("a topic is deleted", () -> {
            try (Admin admin = admin()) {
                admin.deleteTopics(List.of(TOPIC)).all().get();
                await("it is gone", () -> !admin.listTopics().names().get().contains(TOPIC));
            }
        });
    }

    private void startBroker(int id) throws IOException {
        Path file = directory.resolve("broker-" + id + ".properties");
        Files.writeString(file, String.join("\n", List.of(
                "broker.id=" + id,
                "listeners=PLAINTEXT://127.0.0.1:" + ports[id],
                "log.dirs=" + directory.resolve("broker-" + id),
                "zookeeper.connect=" + zookeeper + "/kafka",
                "zookeeper.session.timeout.ms=6000",
                "offsets.topic.num.partitions=2",
                "offsets.topic.replication.factor=" + BROKERS,
                "group.initial.rebalance.delay.ms=0")));
        File log = directory.resolve("broker-" + id + ".log").toFile();
        brokers[id] = new ProcessBuilder(
                        "java", "-Xmx512m", "-cp", System.getProperty("java.class.path"), "kafka.Kafka", file.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log))
                .start();
    }

    private String bootstrap() {
        List<String> addresses = new ArrayList<>();
        for (int port : ports) addresses.add("127.0.0.1:" + port);
        return String.join(",", addresses);
    }

    private Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap(), "request.timeout.ms", "5000", "default.api.timeout.ms", "20000"));
    }

    private TopicDescription describe(Admin admin) throws Exception {
        return admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC);
    }

    private Set<Integer> leaders(Admin admin) throws Exception {
        Set<Integer> ids = new java.util.HashSet<>();
        describe(admin).partitions().forEach(partition -> ids.add(partition.leader().id()));
        return ids;
    }

    /** Of the partition that has the fewest. */
    private int inSync(Admin admin) throws Exception {
        return describe(admin).partitions().stream().mapToInt(partition -> partition.isr().size()).min().orElse(0);
    }

    /** As the brokers keep it, read past them. */
    private int controller() throws Exception {
        ZooKeeper zk = new ZooKeeper(zookeeper, 10_000, event -> {});
        try {
            String json = new String(zk.getData("/kafka/controller", false, null));
            return json.contains("\"brokerid\":0") ? 0 : 1;
        } finally {
            zk.close();
        }
    }

    private void produce() throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap(), "acks", "all");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < RECORDS; i++) producer.send(new ProducerRecord<>(TOPIC, "key " + i, "value " + i));
            producer.flush();
        }
    }

    private void consume(String group, int wanted) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap(), "group.id", group, "auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(TOPIC));
            long deadline = System.currentTimeMillis() + PATIENCE_MS;
            int count = 0;
            while (count < wanted && System.currentTimeMillis() < deadline) {
                count += consumer.poll(Duration.ofMillis(200)).count();
            }
            if (count != wanted) throw new IllegalStateException("consumed " + count + " of " + wanted);
            consumer.commitSync();
        }
    }

    private void ask(String action) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(control + action))
                .POST(HttpRequest.BodyPublishers.noBody())
                .build();
        int status = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
        if (status != 204) throw new IOException(action + " was answered " + status);
    }

    /** Until it is so; what goes wrong meanwhile counts as not yet. */
    private static void await(String what, Callable<Boolean> isSo) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        Exception last = null;
        while (System.currentTimeMillis() < deadline) {
            try {
                if (isSo.call()) return;
                last = null;
            } catch (Exception error) {
                last = error;
            }
            TimeUnit.MILLISECONDS.sleep(100);
        }
        throw new IllegalStateException("waited for " + what, last);
    }

    private interface Body {
        void run() throws Exception;
    }

    /** What follows a failure is not played: it would fail for it. */
    private void check(String title, Body body) {
        String detail = hasFailed ? "not played: a case before it failed" : "";
        boolean isPlayed = !hasFailed;
        try {
            if (isPlayed) body.run();
        } catch (Exception error) {
            hasFailed = true;
            detail = error + (error.getCause() == null ? "" : ": " + error.getCause());
        }
        String outcome = !isPlayed ? "skipped" : detail.isEmpty() ? "passed" : "failed";
        System.out.println("{\"case\": \"" + title + "\", \"outcome\": \"" + outcome + "\", \"detail\": \""
                + detail.replaceAll("[^ !#-\\[\\]-~]", " ") + "\"}");
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }
}
