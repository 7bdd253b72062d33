import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZKUtil;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

/**
 * The server that runs already, for test suites that would start one in their own process.
 *
 * System properties: {@code target} is its host:port or several, {@code control} the URL that kills and starts it.
 */
public final class External {
    private static boolean isStopped;

    private External() {}

    public static String address() {
        return System.getProperty("target");
    }

    public static int port() {
        String first = address().split(",")[0];
        return Integer.parseInt(first.substring(first.indexOf(':') + 1));
    }

    /** Kills it, without a word. */
    public static synchronized void stop() {
        if (isStopped) return;
        control("/stop");
        isStopped = true;
    }

    public static synchronized void start() {
        if (!isStopped) return;
        control("/start");
        isStopped = false;
    }

    /** For a suite that stops its server after each test, and in the middle of some: only the latter count. */
    public static void stopInTest() {
        if (!isCalledFrom("tearDown")) stop();
    }

    /** Curator's suites close their server after each test, too. */
    public static void closeInTest() {
        if (!isCalledFrom("teardown")) stop();
    }

    /** The same for starts; the one before a test gives an empty server. */
    public static void startInTest() {
        if (isCalledFrom("setUp")) fresh();
        else start();
    }

    private static boolean isCalledFrom(String prefix) {
        for (StackTraceElement frame : Thread.currentThread().getStackTrace()) {
            if (frame.getMethodName().startsWith(prefix)) return true;
        }
        return false;
    }

    /** What a suite takes for a new server: one that runs, with nothing in it. */
    public static void fresh() {
        start();
        try {
            wipe();
        } catch (Exception error) {
            throw new IllegalStateException("the tree could not be emptied", error);
        }
    }

    private static void wipe() throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        Watcher watcher = event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) connected.countDown();
        };
        ZooKeeper zk = new ZooKeeper(address(), 30_000, watcher);
        try {
            if (!connected.await(60, TimeUnit.SECONDS)) throw new IllegalStateException("no connection");
            zk.addAuthInfo("digest", "super:test".getBytes());
            zk.setACL("/", ZooDefs.Ids.OPEN_ACL_UNSAFE, -1);
            for (String name : zk.getChildren("/", false)) {
                if (!name.equals("zookeeper")) delete(zk, "/" + name);
            }
            for (String name : zk.getChildren("/zookeeper/quota", false)) delete(zk, "/zookeeper/quota/" + name);
        } finally {
            zk.close();
        }
    }

    /** Ephemerals of a session that is ending may be gone before we get to them. */
    private static void delete(ZooKeeper zk, String path) throws Exception {
        for (int attempt = 0; ; attempt++) {
            try {
                ZKUtil.deleteRecursive(zk, path, 100);
                return;
            } catch (KeeperException error) {
                if (zk.exists(path, false) == null) return;
                if (attempt == 20) throw error;
            }
        }
    }

    private static void control(String action) {
        try {
            HttpURLConnection connection =
                    (HttpURLConnection) URI.create(System.getProperty("control") + action).toURL().openConnection();
            connection.setRequestMethod("POST");
            int status = connection.getResponseCode();
            if (status != 204) throw new IOException("answered " + status);
        } catch (IOException error) {
            throw new UncheckedIOException(action + " failed", error);
        }
    }
}
