import javassist.ClassPool;
import javassist.CtClass;
import javassist.CtConstructor;
import javassist.CtMethod;

/**
 * Points the test suites of Curator and of ZooKeeper's Java client at {@link External}: writes changed copies of the
 * classes that start servers, for a directory ahead of theirs on the class path. Their tests stay as they are.
 *
 * Usage: {@code Patch DIRECTORY}.
 */
public final class Patch {
    public static void main(String[] args) throws Exception {
        ClassPool pool = ClassPool.getDefault();
        curatorServer(pool).writeFile(args[0]);
        curatorCluster(pool).writeFile(args[0]);
        zooKeeperBase(pool).writeFile(args[0]);
        zooKeeperBeans(pool).writeFile(args[0]);
    }

    /** A server of Curator's tests is the one that runs; a new one is empty. */
    private static CtClass curatorServer(ClassPool pool) throws Exception {
        CtClass server = pool.get("org.apache.curator.test.TestingServer");
        for (CtConstructor constructor : server.getDeclaredConstructors()) {
            if (constructor.getSignature().equals("(Lorg/apache/curator/test/InstanceSpec;Z)V")) {
                constructor.setBody(
                        "{ super(); this.spec = $1; this.testingZooKeeperServer = null; External.fresh(); }");
            }
        }
        server.getDeclaredMethod("getConnectString").setBody("{ return External.address(); }");
        server.getDeclaredMethod("getPort").setBody("{ return External.port(); }");
        server.getDeclaredMethod("start").setBody("{ External.start(); }");
        server.getDeclaredMethod("stop").setBody("{ External.stop(); }");
        server.getDeclaredMethod("restart").setBody("{ External.stop(); External.start(); }");
        server.getDeclaredMethod("close").setBody("{ External.closeInTest(); }");
        return server;
    }

    /** Servers in the suite's own process would prove nothing. */
    private static CtClass curatorCluster(ClassPool pool) throws Exception {
        CtClass cluster = pool.get("org.apache.curator.test.TestingCluster");
        for (CtMethod method : cluster.getDeclaredMethods("start")) {
            method.setBody("{ throw new IllegalStateException(\"needs servers of its own\"); }");
        }
        return cluster;
    }

    private static CtClass zooKeeperBase(ClassPool pool) throws Exception {
        CtClass base = pool.get("org.apache.zookeeper.test.ClientBase");
        for (CtConstructor constructor : base.getDeclaredConstructors()) {
            constructor.insertAfter("this.hostPort = External.address();");
        }
        for (CtMethod method : base.getDeclaredMethods("startServer")) method.setBody("{ External.startInTest(); }");
        base.getDeclaredMethod("stopServer").setBody("{ External.stopInTest(); }");
        CtMethod start = base.getDeclaredMethod("createNewServerInstance");
        start.setBody("{ throw new IllegalStateException(\"needs a server of its own\"); }");
        return base;
    }

    /** Management beans of a server in the same process. */
    private static CtClass zooKeeperBeans(ClassPool pool) throws Exception {
        CtClass beans = pool.get("org.apache.zookeeper.test.JMXEnv");
        for (CtMethod method : beans.getDeclaredMethods()) {
            if (!method.getName().startsWith("ensure")) continue;
            boolean isSet = method.getReturnType().getName().equals("java.util.Set");
            method.setBody(isSet ? "{ return java.util.Collections.emptySet(); }" : method.getReturnType()
                    .equals(CtClass.voidType) ? "{ }" : "{ return null; }");
        }
        return beans;
    }
}
