//! One suite of behaviour for every store, and what only a file can show.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::BufRead as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use tern_store::{
    Action, Change, Condition, Durability, KEY_LEN_MAX, Memory, Redb, RedbOptions, Store, StoreError,
    WatchEvent, Write,
};
use tern_types::Instant;

fn put(key: &str, condition: Condition, value: &'static str) -> Write {
    let action = Action::Put { value: Bytes::from_static(value.as_bytes()), expires: None };
    Write { key: key.to_owned(), condition, action }
}

async fn versions_rise_and_guard(store: &dyn Store) {
    let first = store.put("a/1", "x".into(), None).await.unwrap();
    let second = store.compare_and_put("a/1", Condition::Version(first), "y".into()).await.unwrap();
    assert!(second > first);
    let stale = store.compare_and_put("a/1", Condition::Version(first), "z".into()).await;
    assert_eq!(stale, Err(StoreError::Conflict { key: "a/1".to_owned(), found: Some(second) }));
    assert_eq!(store.get("a/1").await.unwrap().unwrap().value, "y");
    assert!(store.compare_and_put("a/1", Condition::Absent, "z".into()).await.is_err());
    assert!(store.compare_and_put("a/none", Condition::Present, "z".into()).await.is_err());

    store.delete("a/1", Condition::Version(second)).await.unwrap();
    assert_eq!(store.get("a/1").await.unwrap(), None);
    let again = store.compare_and_put("a/1", Condition::Absent, "w".into()).await.unwrap();
    assert!(again > second, "a version is not used twice, also after a deletion");
}

async fn a_batch_is_all_or_nothing(store: &dyn Store) {
    store.put("b/1", "old".into(), None).await.unwrap();
    let refused =
        store.batch(vec![put("b/1", Condition::Any, "new"), put("b/2", Condition::Present, "new")]).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    assert_eq!(store.get("b/1").await.unwrap().unwrap().value, "old");
    let versions =
        store.batch(vec![put("b/1", Condition::Any, "n"), put("b/2", Condition::Absent, "n")]).await;
    assert_eq!(versions.unwrap().len(), 2);
}

async fn a_range_is_in_order_and_pages(store: &dyn Store) {
    for key in ["c/3", "c/1", "c/2", "d/1", "c"] {
        store.put(key, Bytes::new(), None).await.unwrap();
    }
    let keys = |entries: Vec<(String, _)>| entries.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(store.range("c/", None, 2).await.unwrap()), ["c/1", "c/2"]);
    assert_eq!(keys(store.range("c/", Some("c/2"), 9).await.unwrap()), ["c/3"]);
    assert_eq!(keys(store.range("c/", Some("a"), 9).await.unwrap()).len(), 3);
    assert!(store.range("e/", None, 9).await.unwrap().is_empty());
}

async fn what_expired_is_swept(store: &dyn Store) {
    let at = |micros| Some(Instant::from_micros(micros));
    store.put("e/1", Bytes::new(), at(10)).await.unwrap();
    store.put("e/2", Bytes::new(), at(20)).await.unwrap();
    store.put("e/3", Bytes::new(), None).await.unwrap();
    assert_eq!(store.sweep(Instant::from_micros(10), 9).await.unwrap(), 1);
    assert_eq!(store.get("e/1").await.unwrap(), None);
    assert_eq!(store.get("e/2").await.unwrap().unwrap().expires, at(20));
    assert_eq!(store.sweep(Instant::from_micros(99), 9).await.unwrap(), 1);
    assert_eq!(store.sweep(Instant::from_micros(99), 9).await.unwrap(), 0);
}

async fn a_watcher_sees_its_prefix_and_is_told_what_it_missed(store: &dyn Store) {
    let mut watch = store.watch("f/");
    store.put("g/1", Bytes::new(), None).await.unwrap();
    let version = store.put("f/1", Bytes::new(), None).await.unwrap();
    store.delete("f/1", Condition::Any).await.unwrap();
    let changed = |version| Some(WatchEvent::Changed(Change { key: "f/1".to_owned(), version }));
    assert_eq!(watch.next().await, changed(Some(version)));
    assert_eq!(watch.next().await, changed(None));
    for _ in 0..=tern_store::WATCH_BACKLOG {
        store.put("f/2", Bytes::new(), None).await.unwrap();
    }
    assert!(matches!(watch.next().await, Some(WatchEvent::Missed(_))));
}

async fn limits_are_refused(store: &dyn Store) {
    let long = "k".repeat(KEY_LEN_MAX + 1);
    assert!(matches!(store.put(&long, Bytes::new(), None).await, Err(StoreError::Limit { what: "key", .. })));
    let large = Bytes::from(vec![0; tern_store::VALUE_LEN_MAX + 1]);
    assert!(matches!(store.put("h", large, None).await, Err(StoreError::Limit { what: "value", .. })));
}

async fn behaves_like_a_store(store: &dyn Store) {
    versions_rise_and_guard(store).await;
    a_batch_is_all_or_nothing(store).await;
    a_range_is_in_order_and_pages(store).await;
    what_expired_is_swept(store).await;
    a_watcher_sees_its_prefix_and_is_told_what_it_missed(store).await;
    limits_are_refused(store).await;
}

fn open(directory: &tempfile::TempDir, durability: Durability) -> Redb {
    Redb::open(&RedbOptions { path: directory.path().join("store.redb"), durability }).unwrap()
}

#[tokio::test]
async fn memory_behaves_like_a_store() {
    behaves_like_a_store(&Memory::new()).await;
}

#[tokio::test]
async fn redb_behaves_like_a_store() {
    for durability in [Durability::Process, Durability::Machine] {
        let directory = tempfile::tempdir().unwrap();
        behaves_like_a_store(&open(&directory, durability)).await;
    }
}

#[tokio::test]
async fn a_file_is_open_once_and_keeps_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, Durability::Process);
    let version = store.put("a", "x".into(), None).await.unwrap();
    let second = Redb::open(&RedbOptions {
        path: directory.path().join("store.redb"),
        durability: Durability::Process,
    });
    assert!(second.unwrap_err().to_string().contains("another process has this store open"));
    drop(store);
    let store = open(&directory, Durability::Process);
    assert_eq!(store.get("a").await.unwrap().unwrap().version, version);
    assert!(store.put("a", "y".into(), None).await.unwrap() > version);
}

/// More than the journal holds before the engine takes it, several times over; every third entry
/// is deleted and every fifth written again, so that engine and journal hold each a part.
#[tokio::test]
async fn what_engine_and_journal_hold_is_one_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, Durability::Process);
    let expected = Memory::new();
    let large = Bytes::from(vec![7; 16 << 10]);
    for number in 0..300u64 {
        let key = format!("k/{number:03}");
        for store in [&store as &dyn Store, &expected] {
            let expires = (number % 7 == 0).then(|| Instant::from_micros(number + 1));
            store.put(&key, large.clone(), expires).await.unwrap();
            if number % 3 == 0 {
                store.delete(&format!("k/{:03}", number / 2), Condition::Any).await.unwrap();
            }
            if number % 5 == 0 {
                store.put(&format!("k/{:03}", number / 5), "again".into(), None).await.unwrap();
            }
        }
        if number % 50 == 0 {
            same(&store, &expected).await;
        }
    }
    let swept = expected.sweep(Instant::from_micros(200), 1000).await.unwrap();
    assert!(swept > 0);
    assert_eq!(store.sweep(Instant::from_micros(200), 1000).await.unwrap(), swept);
    same(&store, &expected).await;
    drop(store);
    for durability in [Durability::Machine, Durability::Process] {
        same(&open(&directory, durability), &expected).await;
    }
}

async fn same(store: &Redb, expected: &Memory) {
    for limit in [1, 10, 1000] {
        let wanted = expected.range("k/", Some("k/010"), limit).await.unwrap();
        assert_eq!(store.range("k/", Some("k/010"), limit).await.unwrap(), wanted);
    }
    for (key, entry) in expected.range("k/", None, 1000).await.unwrap() {
        assert_eq!(store.get(&key).await.unwrap(), Some(entry), "{key}");
    }
}

#[tokio::test]
async fn what_a_killed_process_left_is_taken_with_either_durability() {
    for durability in [Durability::Machine, Durability::Process] {
        let directory = tempfile::tempdir().unwrap();
        let copy = tempfile::tempdir().unwrap();
        let store = open(&directory, Durability::Process);
        store.put("a", "1".into(), None).await.unwrap();
        store.put("b", "1".into(), None).await.unwrap();
        store.delete("a", Condition::Any).await.unwrap();
        let version = store.put("b", "2".into(), None).await.unwrap();
        // As the files stand when the process is killed now.
        for name in ["store.redb", "store.redb.journal"] {
            std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
        }
        let left = open(&copy, durability);
        assert_eq!(left.get("a").await.unwrap(), None);
        let entry = left.get("b").await.unwrap().unwrap();
        assert_eq!((entry.version, &entry.value[..]), (version, &b"2"[..]));
        assert!(left.put("a", "3".into(), None).await.unwrap() > version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_writers_with_one_version_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&directory, Durability::Process));
    let version = store.put("n", "0".into(), None).await.unwrap();
    let racers = (0..64).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.compare_and_put("n", Condition::Version(version), "1".into()).await })
    });
    let mut won = 0;
    for racer in racers.collect::<Vec<_>>() {
        won += usize::from(racer.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
}

/// The child of the next test: counts in the store, and says each number once it is durable.
#[tokio::test]
async fn child_counts_until_it_is_killed() {
    let Some(path) = std::env::var_os("TERN_STORE_CHILD") else { return };
    let store = Redb::open(&RedbOptions { path: path.into(), durability: Durability::Process }).unwrap();
    for number in 0u64.. {
        store.put("count", Bytes::copy_from_slice(&number.to_be_bytes()), None).await.unwrap();
        println!("acknowledged {number}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_counts_until_it_is_killed", "--exact", "--nocapture"])
            .env("TERN_STORE_CHILD", directory.path().join("store.redb"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let number = |line: &str| line.split("acknowledged ").nth(1).and_then(|n| n.parse::<u64>().ok());
        let mut last = 0;
        while last < 200 {
            last = number(&lines.next().unwrap().unwrap()).unwrap_or(last);
        }
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            last = number(&line).unwrap_or(last);
        }
        child.wait().unwrap();

        let kept = open(&directory, Durability::Process).get("count").await.unwrap().unwrap().value;
        let kept = u64::from_be_bytes(kept[..].try_into().unwrap());
        assert!(kept >= last, "{last} was acknowledged, {kept} was kept");
    }
}
