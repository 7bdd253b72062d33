//! The Rust client `zookeeper-client`, unmodified, through a session of what it can do.
//!
//! Started as `session HOST:PORT`; prints a JSON object per case, like the other sessions.

use std::fmt::Debug;
use std::future::Future;

use zookeeper_client::{
    Acls, AddWatchMode, Client, CreateMode, CreateOptions, Error, EventType, LockPrefix, LockOptions,
};

const OPEN: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const SEQUENTIAL: CreateOptions<'static> = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
const CONTAINER: CreateOptions<'static> = CreateMode::Container.with_acls(Acls::anyone_all());

type Checked = Result<(), String>;

fn same<Value: PartialEq + Debug>(is: Value, wanted: Value) -> Checked {
    if is == wanted {
        return Ok(());
    }
    Err(format!("{is:?}, wanted {wanted:?}"))
}

fn must<Value>(result: Result<Value, Error>) -> Result<Value, String> {
    result.map_err(|error| error.to_string())
}

fn refused<Value: Debug>(result: Result<Value, Error>, wanted: Error) -> Checked {
    match result {
        Err(error) => same(error, wanted),
        Ok(value) => Err(format!("{value:?}, wanted {wanted:?}")),
    }
}

async fn values(zk: Client, root: String) -> Checked {
    let path = format!("{root}/values");
    let (created, _) = must(zk.create(&path, b"one", &OPEN).await)?;
    same(must(zk.get_data(&path).await)?, (b"one".to_vec(), created))?;
    let stat = must(zk.set_data(&path, b"two", Some(0)).await)?;
    same((stat.version, stat.czxid, stat.data_length), (1, created.czxid, 3))?;
    refused(zk.set_data(&path, b"x", Some(0)).await, Error::BadVersion)?;
    refused(zk.create(&path, b"", &OPEN).await, Error::NodeExists)?;
    must(zk.delete(&path, Some(1)).await)?;
    refused(zk.get_data(&path).await, Error::NoNode)
}

async fn sequence(zk: Client, root: String) -> Checked {
    let parent = format!("{root}/sequence");
    must(zk.create(&parent, b"", &CONTAINER).await)?;
    for wanted in 0..3 {
        let (_, number) = must(zk.create(&format!("{parent}/s-"), b"", &SEQUENTIAL).await)?;
        same(number.into_i64(), wanted)?;
    }
    same(must(zk.count_descendants_number(&parent).await)?, 3)
}

async fn ephemerals(zk: Client, root: String, address: String) -> Checked {
    let path = format!("{root}/ephemeral");
    let other = must(Client::connect(&address).await)?;
    let (stat, _) = must(other.create(&path, b"", &EPHEMERAL).await)?;
    same(stat.ephemeral_owner, other.session_id().0)?;
    same(must(other.list_ephemerals(&root).await)?, vec![path.clone()])?;
    refused(zk.create(&format!("{path}/x"), b"", &OPEN).await, Error::NoChildrenForEphemerals)?;
    let (_, watcher) = must(zk.check_and_watch_stat(&path).await)?;
    drop(other);
    same(watcher.changed().await.event_type, EventType::NodeDeleted)
}

async fn persistent_watches(zk: Client, root: String) -> Checked {
    let parent = format!("{root}/watched");
    let child = format!("{parent}/child");
    must(zk.create(&parent, b"", &OPEN).await)?;
    let mut recursive = must(zk.watch(&parent, AddWatchMode::PersistentRecursive).await)?;
    let mut flat = must(zk.watch(&parent, AddWatchMode::Persistent).await)?;
    must(zk.create(&child, b"", &OPEN).await)?;
    must(zk.set_data(&child, b"x", None).await)?;
    must(zk.delete(&child, None).await)?;
    for wanted in [EventType::NodeCreated, EventType::NodeDataChanged, EventType::NodeDeleted] {
        let event = recursive.changed().await;
        same((event.event_type, event.path.as_str()), (wanted, child.as_str()))?;
    }
    for _ in 0..2 {
        let event = flat.changed().await;
        same((event.event_type, event.path.as_str()), (EventType::NodeChildrenChanged, parent.as_str()))?;
    }
    must(recursive.remove().await)?;
    must(flat.remove().await)
}

async fn transactions(zk: Client, root: String) -> Checked {
    let path = format!("{root}/multi");
    let mut writer = zk.new_multi_writer();
    must(writer.add_create(&path, b"", &OPEN))?;
    must(writer.add_set_data(&path, b"x", Some(0)))?;
    must(writer.add_check_version(&path, 1))?;
    same(writer.commit().await.map(|results| results.len()).map_err(|error| error.to_string()), Ok(3))?;
    must(writer.add_delete(&path, None))?;
    must(writer.add_delete(&format!("{path}/none"), None))?;
    same(writer.commit().await.is_err(), true)?;
    let mut reader = zk.new_multi_reader();
    must(reader.add_get_data(&path))?;
    must(reader.add_get_children(&path))?;
    same(must(reader.commit().await)?.len(), 2)
}

async fn acls(zk: Client, root: String, address: String) -> Checked {
    let path = format!("{root}/acl");
    let owner = must(Client::connect(&address).await)?;
    must(owner.auth("digest", b"bob:pw").await)?;
    must(owner.create(&path, b"mine", &CreateMode::Persistent.with_acls(Acls::creator_all())).await)?;
    refused(zk.get_data(&path).await, Error::NoAuth)?;
    let (acl, _) = must(owner.get_acl(&path).await)?;
    same(acl.iter().map(|one| one.id().to_string()).collect(), vec!["bob:ikIaKsbtGweaHnb/jKn7OHqbunM=".to_string()])?;
    let users = must(owner.list_auth_users().await)?;
    same(users.iter().any(|user| user.scheme() == "digest" && user.user() == "bob"), true)
}

async fn session_renewal(zk: Client, root: String, address: String) -> Checked {
    let path = format!("{root}/renewed");
    let first = must(Client::connector().with_detached().connect(&address).await)?;
    must(first.create(&path, b"", &EPHEMERAL).await)?;
    let session = first.into_session();
    let id = session.id();
    let second = must(Client::connector().with_session(session).connect(&address).await)?;
    same(second.session_id(), id)?;
    same(must(zk.check_stat(&path).await)?.map(|stat| stat.ephemeral_owner), Some(id.0))
}

async fn locks(zk: Client, root: String, address: String) -> Checked {
    let dir = format!("{root}/locks");
    must(zk.create(&dir, b"", &OPEN).await)?;
    let other = must(Client::connect(&address).await)?;
    let prefix = || LockPrefix::new_curator(&dir, "latch-");
    let held = must(zk.lock(must(prefix())?, b"", LockOptions::new(Acls::anyone_all())).await)?;
    let waiting = other.lock(must(prefix())?, b"", LockOptions::new(Acls::anyone_all()));
    tokio::pin!(waiting);
    let early = tokio::select! {
        biased;
        _ = &mut waiting => true,
        _ = zk.sync(&dir) => false,
    };
    same(early, false)?;
    drop(held);
    must(waiting.await).map(|_| ())
}

async fn report(title: &str, checked: impl Future<Output = Checked>) {
    let (outcome, detail) = match checked.await {
        Ok(()) => ("passed", String::new()),
        Err(detail) => ("failed", detail.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    println!("{{\"case\": \"{title}\", \"outcome\": \"{outcome}\", \"detail\": \"{detail}\"}}");
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).expect("HOST:PORT");
    let zk = Client::connect(&address).await.expect("a session");
    let root = format!("/rust-{}", std::process::id());
    zk.create(&root, b"", &OPEN).await.expect("the root of this run");
    let (at, with) = (|| root.clone(), || zk.clone());
    report("create, get, set, delete with versions", values(with(), at())).await;
    report("containers, sequential names, descendants", sequence(with(), at())).await;
    report("an ephemeral goes with its session", ephemerals(with(), at(), address.clone())).await;
    report("persistent and recursive watches, and their removal", persistent_watches(with(), at())).await;
    report("multi writes and reads", transactions(with(), at())).await;
    report("ACLs keep strangers out; who am I", acls(with(), at(), address.clone())).await;
    report("a session is taken up with its id and password", session_renewal(with(), at(), address.clone())).await;
    report("locks are handed on", locks(with(), at(), address.clone())).await;
}
