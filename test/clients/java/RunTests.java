import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URL;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs one class of JUnit tests, or one test, and prints a JSON object as each of them ends, so that a class which hangs
 * has told what came before.
 *
 * Usage: {@code RunTests CLASS}, or {@code RunTests ID} with one of the ids that {@code RunTests --list CLASS} prints.
 * What the tests themselves print goes to standard error.
 */
public final class RunTests implements TestExecutionListener {
    private static final int DETAIL_MAX = 1500;
    private final PrintStream out;

    private RunTests(PrintStream out) {
        this.out = out;
    }

    public static void main(String[] args) {
        PrintStream out = System.out;
        System.setOut(System.err);
        requirePatched("org/apache/curator/test/TestingServer.class");
        requirePatched("org/apache/zookeeper/test/ClientBase.class");
        if (args[0].equals("--list")) list(args[1], out);
        else LauncherFactory.create().execute(select(args[0]), new RunTests(out));
        System.exit(0); // Clients that a test has left behind have threads that would stay.
    }

    /** Without it the suite would start a server of its own, and say nothing of the one it is given. */
    private static void requirePatched(String name) {
        URL found = RunTests.class.getClassLoader().getResource(name);
        if (found == null || !found.getProtocol().equals("file")) {
            throw new IllegalStateException(name + " is not the changed one: it is " + found);
        }
    }

    private static LauncherDiscoveryRequest select(String test) {
        return LauncherDiscoveryRequestBuilder.request()
                .selectors(test.startsWith("[")
                        ? DiscoverySelectors.selectUniqueId(test)
                        : DiscoverySelectors.selectClass(test))
                .build();
    }

    private static void list(String className, PrintStream out) {
        TestPlan plan = LauncherFactory.create().discover(select(className));
        for (TestIdentifier engine : plan.getRoots()) {
            for (TestIdentifier container : plan.getChildren(engine)) {
                for (TestIdentifier test : plan.getChildren(container)) out.println(test.getUniqueId());
            }
        }
        out.flush();
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        if (test.isTest()) tell(test, "skipped", reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        boolean hasPassed = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
        boolean isSkipped = result.getStatus() == TestExecutionResult.Status.ABORTED;
        // A class of which nothing ran says so itself.
        if (!test.isTest() && (hasPassed || isSkipped)) return;
        String detail = result.getThrowable().map(RunTests::print).orElse("");
        tell(test, hasPassed ? "passed" : isSkipped ? "skipped" : "failed", detail);
    }

    private void tell(TestIdentifier test, String outcome, String detail) {
        String className = test.getSource()
                .filter(MethodSource.class::isInstance)
                .map(source -> simpleName(((MethodSource) source).getClassName()) + ".")
                .orElse("");
        // The name of a method without its parameters' types; of the n-th run of one, with its number.
        String name = test.getLegacyReportingName().replaceFirst("\\(.*\\)$", "");
        synchronized (out) {
            out.println("{\"case\": " + quote(className + name) + ", \"outcome\": " + quote(outcome) + ", \"detail\": "
                    + quote(detail.substring(0, Math.min(detail.length(), DETAIL_MAX))) + "}");
            out.flush();
        }
    }

    private static String simpleName(String className) {
        return className.substring(className.lastIndexOf('.') + 1);
    }

    private static String print(Throwable error) {
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text));
        return text.toString();
    }

    private static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char each : text.toCharArray()) {
            boolean isPlain = each >= ' ' && each <= '~' && each != '"' && each != '\\';
            quoted.append(isPlain ? String.valueOf(each) : String.format("\\u%04x", (int) each));
        }
        return quoted.append('"').toString();
    }
}
