//! What the door has for each connection, handed to its task.

use std::collections::HashMap;

use session::Post;
use tokio::sync::mpsc;

/// The end that a connection's task reads.
pub(crate) type Mailbox = mpsc::UnboundedReceiver<Post>;

/// All mailboxes. What may lie in one is bounded by the session: a request has one answer, and a queue
/// that grows too long ends its connection.
#[derive(Default)]
pub(crate) struct Mailboxes(HashMap<u64, mpsc::UnboundedSender<Post>>);

impl Mailboxes {
    pub(crate) fn open(&mut self, connection: u64) -> Mailbox {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.insert(connection, sender);
        receiver
    }

    pub(crate) fn close(&mut self, connection: u64) {
        self.0.remove(&connection);
    }

    pub(crate) fn hand_out(&mut self, posts: impl Iterator<Item = (u64, Post)>) {
        for (connection, post) in posts {
            if let Some(mailbox) = self.0.get(&connection) {
                // A task that has just ended needs nothing more.
                let _ = mailbox.send(post);
            }
        }
    }
}
