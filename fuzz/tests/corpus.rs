//! The corpus through the bodies of the targets, and the seeds as they were written.
#![allow(missing_docs, reason = "tests")]

use std::path::{Path, PathBuf};

use tern_fuzz::TARGETS;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

#[test]
fn when_the_corpus_is_replayed_then_everything_holds() {
    for target in TARGETS {
        let mut files: Vec<_> = std::fs::read_dir(corpus(target.name))
            .expect("each target has a corpus")
            .map(|entry| entry.expect("readable").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{}", target.name);
        for file in files {
            let input = std::fs::read(&file).expect("readable");
            // Said first: a body that panics does not come back.
            println!("{}", file.display());
            (target.run)(&input);
        }
    }
}

#[test]
fn when_seeds_change_then_the_committed_ones_do_too() {
    for target in TARGETS {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            let file = corpus(target.name).join(format!("seed-{number:02}"));
            let committed = std::fs::read(&file).unwrap_or_default();
            assert!(committed == seed, "{}: run `cargo run -p tern-fuzz --example seeds`", file.display());
        }
    }
}

/// Seeds that come to nothing would leave a target at the surface.
#[test]
fn when_a_target_runs_its_seeds_then_most_of_them_come_through() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        let through = seeds.iter().filter(|seed| (target.run)(seed) > 0).count();
        assert!(2 * through > seeds.len(), "{}: {through} of {}", target.name, seeds.len());
    }
}

#[test]
fn when_a_upf_is_given_a_whole_life_of_sessions_then_each_message_is_accepted() {
    // One seed for each message of an SMF, then the life of sessions: nine requests, and a packet that passes.
    let seeds = tern_fuzz::upf_n4::seeds();
    assert_eq!(tern_fuzz::upf_n4::run(&seeds[12]), 10);
}
