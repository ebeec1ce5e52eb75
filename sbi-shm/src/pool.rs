//! Whose buffers are where. The books are private to the process: nothing that a peer writes enters
//! them unchecked.

/// A buffer that its holder alone may write. Not `Clone`: whoever has it holds the buffer.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Where one of our buffers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Free,
    /// Lent to a writer of this process.
    Held,
    /// Sent on the connection with this number; the peer gives it back.
    Sent(u64),
}

/// The sender's book of its own buffers towards one peer.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Last in, first out: the warm ones go first.
    free: Vec<u32>,
    generations: Vec<u32>,
    places: Vec<Place>,
    /// Buffers that the windows of open connections add up to.
    promised: u32,
}

impl Pool {
    pub(crate) fn new(buffers: u32) -> Self {
        Self {
            free: (0..buffers).rev().collect(),
            generations: vec![0; buffers as usize],
            places: vec![Place::Free; buffers as usize],
            promised: 0,
        }
    }

    /// Buffers at home.
    pub(crate) fn free(&self) -> u32 {
        self.free.len() as u32
    }

    /// Buffers in all.
    pub(crate) fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// Sets `window` buffers aside for a connection, so that every open connection can always go on.
    pub(crate) fn promise(&mut self, window: u32) -> bool {
        let fits = self.promised + window <= self.len();
        if fits {
            self.promised += window;
        }
        fits
    }

    /// The connection is no more.
    pub(crate) fn release(&mut self, window: u32) {
        self.promised -= window;
    }

    /// Takes a buffer. There is one while the caller stays within its window.
    pub(crate) fn take(&mut self) -> Option<Ticket> {
        let index = self.free.pop()?;
        let at = index as usize;
        // 0 is never given, so that a receiver's empty book differs from every generation.
        self.generations[at] = self.generations[at].wrapping_add(1).max(1);
        self.places[at] = Place::Held;
        Some(Ticket { index, generation: self.generations[at] })
    }

    /// It goes to the peer, on this connection.
    pub(crate) fn sent(&mut self, ticket: &Ticket, connection: u64) {
        self.places[ticket.index as usize] = Place::Sent(connection);
    }

    /// It was not sent.
    pub(crate) fn put_back(&mut self, ticket: &Ticket) {
        self.places[ticket.index as usize] = Place::Free;
        self.free.push(ticket.index);
    }

    /// The peer gives a buffer back: the connection it was sent on, or `None` if the peer has no such
    /// buffer, which is a forgery.
    pub(crate) fn returned(&mut self, index: u32, generation: u32) -> Option<u64> {
        let place = self.places.get_mut(index as usize)?;
        let Place::Sent(connection) = *place else { return None };
        if self.generations[index as usize] != generation {
            return None;
        }
        *place = Place::Free;
        self.free.push(index);
        Some(connection)
    }
}

/// What the book says, added up.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Books {
    /// Buffers with the peer, by connection.
    pub(crate) sent: std::collections::HashMap<u64, u32>,
    pub(crate) promised: u32,
}

#[cfg(test)]
impl Pool {
    /// Adds up, after checking that the free list and the places agree.
    pub(crate) fn books(&self) -> Books {
        let free: std::collections::HashSet<u32> = self.free.iter().copied().collect();
        assert_eq!(free.len(), self.free.len(), "a buffer is free twice");
        let mut sent = std::collections::HashMap::new();
        for (index, place) in self.places.iter().enumerate() {
            assert_eq!(*place == Place::Free, free.contains(&(index as u32)));
            if let Place::Sent(connection) = place {
                *sent.entry(*connection).or_default() += 1;
            }
        }
        Books { sent, promised: self.promised }
    }
}

/// Why a descriptor of a peer's buffer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forged {
    /// No buffer has this number, or this length.
    OutOfRange,
    /// It is of a life that is over, or that is here already.
    Stale,
}

/// The receiver's book of a peer's buffers.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// The newest generation seen of each; 0 before the first.
    newest: Vec<u32>,
    size: u32,
}

impl Foreign {
    pub(crate) fn new(buffers: u32, size: u32) -> Self {
        Self { newest: vec![0; buffers as usize], size }
    }

    /// Judges a data descriptor. Each life of a buffer is accepted once.
    pub(crate) fn accept(&mut self, index: u32, generation: u32, len: u32) -> Result<(), Forged> {
        let newest = self.newest.get_mut(index as usize).ok_or(Forged::OutOfRange)?;
        if len == 0 || len > self.size {
            return Err(Forged::OutOfRange);
        }
        let ahead = generation.wrapping_sub(*newest);
        if generation == 0 || ahead == 0 || ahead > u32::MAX / 2 {
            return Err(Forged::Stale);
        }
        *newest = generation;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_never_promise_more_than_there_is() {
        let mut pool = Pool::new(8);
        assert!(pool.promise(4) && pool.promise(4) && !pool.promise(1));
        pool.release(4);
        assert!(pool.promise(1));
    }

    #[test]
    fn a_buffer_comes_back_once_and_by_its_generation() {
        let mut pool = Pool::new(2);
        let ticket = pool.take().unwrap();
        assert_eq!(pool.returned(ticket.index, ticket.generation), None, "not sent yet");
        pool.sent(&ticket, 7);
        assert_eq!(pool.returned(ticket.index, ticket.generation + 1), None);
        assert_eq!(pool.returned(99, 1), None);
        assert_eq!(pool.returned(ticket.index, ticket.generation), Some(7));
        assert_eq!(pool.returned(ticket.index, ticket.generation), None);
        assert_eq!(pool.free(), 2);
    }

    #[test]
    fn each_life_of_a_foreign_buffer_is_accepted_once() {
        let mut book = Foreign::new(2, 64);
        assert_eq!(book.accept(0, 1, 64), Ok(()));
        assert_eq!(book.accept(0, 1, 64), Err(Forged::Stale));
        assert_eq!(book.accept(0, 2, 1), Ok(()));
        assert_eq!(book.accept(0, 1, 1), Err(Forged::Stale));
        assert_eq!(book.accept(1, 0, 1), Err(Forged::Stale));
        assert_eq!(book.accept(2, 1, 1), Err(Forged::OutOfRange));
        assert_eq!(book.accept(1, 1, 65), Err(Forged::OutOfRange));
        assert_eq!(book.accept(1, 1, 0), Err(Forged::OutOfRange));
    }

    #[test]
    fn generations_go_round() {
        let mut pool = Pool::new(1);
        pool.generations[0] = u32::MAX;
        assert_eq!(pool.take().unwrap().generation, 1);
    }
}
