// Stands in for the file of this name in zookeeper-async's suite: its tests would start servers with a program in Java.
// Here a cluster is as many TCP proxies in front of the server that runs already (EXTERNAL_SERVER), which a new
// cluster empties. Killing an instance cuts its connections, and nobody listens there any more.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use zookeeper_async::{ZkResult, ZooKeeper, ZooKeeperExt};

/// Past this the server counts as gone.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct ZkCluster {
    instances: Vec<Instance>,
    pub connect_string: String,
}

impl ZkCluster {
    pub fn start(instances: usize) -> ZkCluster {
        empty();
        let instances: Vec<Instance> = (0..instances).map(|_| Instance::start()).collect();
        let addresses: Vec<&str> = instances.iter().map(|instance| instance.address.as_str()).collect();
        ZkCluster { connect_string: addresses.join(","), instances }
    }

    /// The one that has a client.
    #[allow(dead_code)]
    pub fn kill_an_instance(&mut self) {
        let at = self.instances.iter().position(Instance::has_clients).unwrap_or(0);
        self.instances.remove(at);
    }

    #[allow(dead_code)]
    pub fn shutdown(&mut self) {
        self.instances.clear();
    }
}

/// Goes when it is dropped.
struct Instance {
    address: String,
    is_over: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Instance {
    fn start() -> Instance {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let instance = Instance { address, is_over: Default::default(), open: Default::default() };
        let (is_over, open) = (instance.is_over.clone(), instance.open.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(upstream) = TcpStream::connect(upstream_address()) else { continue };
                let ends = [client.try_clone().unwrap(), upstream.try_clone().unwrap()];
                open.lock().unwrap().extend(ends);
                pipe(client.try_clone().unwrap(), upstream.try_clone().unwrap());
                pipe(upstream, client);
            }
        });
        instance
    }

    #[allow(dead_code)]
    fn has_clients(&self) -> bool {
        !self.open.lock().unwrap().is_empty()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the listener, which finds that it is over.
        let _ = TcpStream::connect(&self.address);
    }
}

fn pipe(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn upstream_address() -> String {
    std::env::var("EXTERNAL_SERVER").expect("EXTERNAL_SERVER")
}

/// What a test takes for a new server has nothing in it.
fn empty() {
    let emptied = thread::spawn(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, delete_all()).await })
    });
    emptied.join().unwrap().expect("in time").expect("an empty server");
}

async fn delete_all() -> ZkResult<()> {
    let zk = ZooKeeper::connect(&upstream_address(), PATIENCE, |_| {}).await?;
    for name in zk.get_children("/", false).await? {
        if name != "zookeeper" {
            zk.delete_recursive(&format!("/{name}")).await?;
        }
    }
    zk.close().await
}
