//! When everything has come to rest.

use super::World;

impl World<'_> {
    /// What still goes on or waits; `None`: nothing.
    pub(super) fn unrest(&self) -> Option<String> {
        let Some(front) = &self.front else {
            return Some("the front door is down".into());
        };
        let status = front.door.status(self.now());
        if !status.whole {
            return Some("the front door does not know all facts".into());
        }
        if let Some((service, linked, waiting)) = status.lanes.iter().find(|(_, linked, n)| !linked || *n > 0)
        {
            return Some(format!(
                "{service} is linked: {linked}, and {waiting} requests wait for it"
            ));
        }
        for (service, place) in &self.places {
            if !place.keeper.is_running() || !place.keeper.is_whole() {
                return Some(format!("{service} is not there, or does not know all facts"));
            }
            if !place.effects.is_empty() || place.keeper.has_queries() || place.keeper.has_arrivals() {
                return Some(format!("{service} has something to do"));
            }
            if !place.link.to_front.is_empty() || !place.link.to_service.is_empty() {
                return Some(format!("something is under way to or from {service}"));
            }
        }
        if front.has_out() || !front.with_mail().is_empty() {
            return Some("the front door has something to deliver".into());
        }
        let waiting = self
            .seats
            .iter()
            .find_map(|seat| seat.client.waits_for(&self.scene.witness));
        waiting.or_else(|| self.scene.witness.waits_for())
    }
}
