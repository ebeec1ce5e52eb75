//! What holds of a stack's state after every step, whatever a peer sends.

use crate::connection::{Phase, Tuple};
use crate::state::State;

/// Panics with what does not hold.
pub(super) fn check(state: &State) {
    check_table(state);
    check_pairs(state);
    for (at, listening) in &state.listeners {
        assert!(listening.backlog.len() <= listening.backlog_max);
        for key in &listening.backlog {
            let connection = &state.connections[*key];
            assert_eq!((connection.phase, connection.local), (Phase::Accepting, *at));
        }
    }
}

/// Table and connections name each other.
fn check_table(state: &State) {
    for (tuple, key) in &state.table {
        let connection = &state.connections[*key];
        assert_eq!(connection.pair, Some(tuple.pair));
        assert_eq!((connection.local, connection.remote), (tuple.local, tuple.remote));
    }
    for (key, connection) in &state.connections {
        let carried = matches!(connection.phase, Phase::Connecting | Phase::Accepting | Phase::Established);
        assert_eq!(connection.pair.is_some(), carried, "{:?}", connection.phase);
        let Some(pair) = connection.pair else { continue };
        let tuple = Tuple { pair, local: connection.local, remote: connection.remote };
        assert_eq!(state.table.get(&tuple), Some(&key));
        assert!(connection.in_flight <= connection.window);
        let waits = connection.phase == Phase::Accepting;
        let backlog = state.listeners.get(&connection.local).map(|listening| &listening.backlog);
        assert_eq!(waits, backlog.is_some_and(|backlog| backlog.contains(&key)));
    }
}

/// The books of buffers agree with the connections.
fn check_pairs(state: &State) {
    for (index, pair) in state.pairs.iter().enumerate() {
        let Some(pair) = pair else { continue };
        let books = pair.pool.books();
        let of_pair =
            || state.connections.iter().filter(move |(_, connection)| connection.pair == Some(index));
        assert_eq!(pair.connections as usize, of_pair().count());
        assert!(pair.connections <= pair.connections_max());
        assert_eq!(pair.wanting as usize, of_pair().filter(|(_, connection)| connection.wants).count());

        // A live connection's buffers are sent or lent; what is left belongs to ended ones.
        let (mut windows, mut in_flight) = (0, 0);
        for (key, connection) in of_pair() {
            windows += connection.window;
            in_flight += connection.in_flight;
            let sent = books.sent.get(&state.id(key)).copied().unwrap_or(0);
            assert!(sent <= connection.in_flight);
        }
        let away = pair.pool.len() - pair.pool.free();
        assert_eq!(books.promised, windows + (away - in_flight));
        assert!(books.promised <= pair.pool.len());

        // Each of the peer's buffers is here once at most: that bounds what waits for readers.
        let waiting: usize = state
            .connections
            .iter()
            .flat_map(|(_, connection)| &connection.received)
            .filter(|bytes| bytes.is_of(&pair.link))
            .count();
        assert!(waiting <= pair.link.held_count());
        assert!(pair.link.held_count() <= pair.pool.len() as usize);
    }
}
