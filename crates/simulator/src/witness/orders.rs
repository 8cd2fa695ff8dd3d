//! What the operator ordered, and what became of it.

use contract::ServiceName;
use serde_json::Value;

use crate::plan::Act;

/// An order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) request_id: String,
    pub(crate) act: Act,
    /// Who answers it.
    pub(crate) service: ServiceName,
    /// When it was first sent.
    pub(crate) sent_ms: u64,
    /// The answer: whether it was accepted, what it said, when it came.
    pub(crate) answer: Option<(bool, Value, u64)>,
    /// The history in which it was answered is gone: a backup may not have it, and answer it anew.
    pub(crate) is_forgotten: bool,
    /// It was given before its service was brought back: whether the backup has it, only the service knows.
    pub(crate) is_of_former_history: bool,
}

impl Order {
    pub(crate) fn new(request_id: &str, act: Act, service: ServiceName, sent_ms: u64) -> Order {
        Order {
            request_id: request_id.to_owned(),
            act,
            service,
            sent_ms,
            answer: None,
            is_forgotten: false,
            is_of_former_history: false,
        }
    }

    /// When it was accepted.
    pub(crate) fn accepted_ms(&self) -> Option<u64> {
        self.answer
            .as_ref()
            .filter(|(accepted, ..)| *accepted)
            .map(|(.., at)| *at)
    }
}

/// All orders, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Orders(Vec<Order>);

impl Orders {
    pub(crate) fn add(&mut self, order: Order) {
        self.0.push(order);
    }

    pub(crate) fn find(&mut self, request_id: &str) -> Option<&mut Order> {
        self.0.iter_mut().find(|order| order.request_id == request_id)
    }

    /// A service's state was brought back from a backup.
    pub(crate) fn restored(&mut self, service: ServiceName) {
        for order in self.0.iter_mut().filter(|order| order.service == service) {
            order.is_forgotten = order.answer.is_some();
            order.is_of_former_history = true;
        }
    }

    /// The accepted orders about a device.
    pub(crate) fn accepted_about<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a Order> {
        self.of_this_history(device)
            .filter(|order| order.accepted_ms().is_some())
    }

    /// The orders about a device since its registry was last brought back.
    fn of_this_history<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a Order> {
        self.0
            .iter()
            .filter(|order| !order.is_of_former_history)
            .filter(move |order| subject(&order.act) == Some(device))
    }

    /// Whether a device's state may come from a backup, whatever the operator was told before.
    pub(crate) fn has_former_history(&self, device: &str) -> bool {
        self.0
            .iter()
            .any(|order| order.is_of_former_history && subject(&order.act) == Some(device))
    }

    /// Whether nothing has been ordered about a device since it was ordered to be restricted.
    pub(crate) fn is_last_about(&self, device: &str, request_id: &str) -> bool {
        let mut about = self.0.iter().filter(|order| subject(&order.act) == Some(device));
        about
            .next_back()
            .is_some_and(|order| order.request_id == request_id)
    }

    /// Whether a device was shut out at this time: it was suspended, the operator knew, and no release had
    /// been sent yet.
    pub(crate) fn is_suspended_at(&self, device: &str, at_ms: u64) -> bool {
        let mut suspended = false;
        for order in self.of_this_history(device) {
            match order.act {
                Act::Suspend(_) if order.accepted_ms().is_some_and(|heard| heard <= at_ms) => {
                    suspended = true
                }
                // A quarantine takes the place of a suspension, and a release may count before it is heard.
                Act::Release(_) | Act::Quarantine(_) if order.sent_ms <= at_ms => suspended = false,
                _ => {}
            }
        }
        suspended
    }
}

fn subject(act: &Act) -> Option<&str> {
    match act {
        Act::Register(device)
        | Act::Rename(device)
        | Act::Suspend(device)
        | Act::Quarantine(device)
        | Act::Release(device)
        | Act::Retire(device, _)
        | Act::Revoke(device) => Some(device),
        _ => None,
    }
}
