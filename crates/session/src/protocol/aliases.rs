//! Topics that a client knows by number, which saves their bytes (MQTT 5, section 3.3.2.3.4).

/// Most topics that are numbered for one client, whatever it takes: replies come on few topics.
const MOST: u16 = 16;

/// What of a topic is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The number alone.
    Known(u16),
    /// The topic, with the number that stands for it from now on.
    New(u16),
}

/// The numbers that are in use, the oldest given to the next topic when all are.
#[derive(Debug)]
pub(super) struct Aliases {
    topics: Vec<String>,
    most: u16,
    next: u16,
}

impl Aliases {
    /// `None` where the client takes none.
    pub(super) fn new(client_takes: u16) -> Option<Box<Aliases>> {
        let most = client_takes.min(MOST);
        (most > 0).then(|| {
            Box::new(Aliases {
                topics: Vec::new(),
                most,
                next: 0,
            })
        })
    }

    /// What stands for this topic.
    pub(super) fn name(&mut self, topic: &str) -> Name {
        if let Some(place) = self.topics.iter().position(|known| known == topic) {
            return Name::Known(place as u16 + 1);
        }
        let place = usize::from(self.next);
        match self.topics.get_mut(place) {
            Some(oldest) => topic.clone_into(oldest),
            None => self.topics.push(topic.to_owned()),
        }
        self.next = (self.next + 1) % self.most;
        Name::New(place as u16 + 1)
    }

    /// The client did not get what it was to be told: nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.topics.clear();
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_number_is_given_away() {
        assert!(Aliases::new(0).is_none());
        let mut aliases = Aliases::new(2).unwrap();
        assert_eq!(aliases.name("a"), Name::New(1));
        assert_eq!(aliases.name("a"), Name::Known(1));
        assert_eq!(aliases.name("b"), Name::New(2));
        assert_eq!(aliases.name("c"), Name::New(1));
        assert_eq!(aliases.name("b"), Name::Known(2));
        assert_eq!(aliases.name("a"), Name::New(2));
    }
}
