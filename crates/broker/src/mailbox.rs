//! What the door has for each connection, handed to its task.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::{Context, Waker},
};

use parking_lot::Mutex;
use session::Post;

/// Where a connection's task finds what the door has for it. It holds a buffer only while something lies in it:
/// most connections are silent most of the time.
#[derive(Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Letters>>);

#[derive(Default)]
struct Letters {
    posts: VecDeque<Post>,
    reader: Option<Waker>,
}

impl Mailbox {
    /// The oldest posts, `most` at most. If there are none, whoever asks is woken when one comes.
    pub(crate) fn take(&self, most: usize, cx: &Context<'_>) -> VecDeque<Post> {
        let mut letters = self.0.lock();
        if letters.posts.is_empty() {
            match &mut letters.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        if letters.posts.len() > most {
            return letters.posts.drain(..most).collect();
        }
        std::mem::take(&mut letters.posts)
    }

    /// All that lies in it.
    pub(crate) fn empty(&self) -> VecDeque<Post> {
        std::mem::take(&mut self.0.lock().posts)
    }

    /// Whoever waited for it is to be woken.
    fn put(&self, post: Post) -> Option<Waker> {
        let mut letters = self.0.lock();
        letters.posts.push_back(post);
        letters.reader.take()
    }
}

/// All mailboxes. What may lie in one is bounded by the session: a request has one answer, and a queue
/// that grows too long ends its connection.
#[derive(Default)]
pub(crate) struct Mailboxes(HashMap<u64, Mailbox>);

impl Mailboxes {
    pub(crate) fn open(&mut self, connection: u64) -> Mailbox {
        self.0.entry(connection).or_default().clone()
    }

    pub(crate) fn close(&mut self, connection: u64) {
        self.0.remove(&connection);
    }

    /// Puts each post where it belongs. Whom to wake; nobody else needs to wait for that.
    pub(crate) fn hand_out(&mut self, posts: impl Iterator<Item = (u64, Post)>) -> Vec<Waker> {
        // A task that has just ended needs nothing more.
        posts
            .filter_map(|(connection, post)| self.0.get(&connection)?.put(post))
            .collect()
    }
}
