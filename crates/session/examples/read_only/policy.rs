//! A policy that wraps the default one and takes away from it: people read, nobody changes anything.

use contract::{Code, Kind, Refusal, filter::Filter, verb::Class, verb::Verb};
use session::{Caller, Cause, Denial, DeviceManagement, Known, Offer, Policy, Standing};

/// For a front door that shows a fleet and does not run it: a control room, a site that is being moved.
#[derive(Debug)]
pub(crate) struct ReadOnly(pub(crate) DeviceManagement);

impl Policy for ReadOnly {
    fn connect(&self, caller: &Caller, facts: &dyn Known, now_ms: i64) -> Result<Standing, Denial> {
        match caller.principal.kind {
            Kind::Operator | Kind::Integrator => self.0.connect(caller, facts, now_ms),
            _ => Err(Denial(
                "this front door shows the fleet only; connect to its own".into(),
            )),
        }
    }

    fn publish(&self, caller: &Caller, standing: &Standing, topic: &str) -> Result<&'static Verb, Refusal> {
        let verb = self.0.publish(caller, standing, topic)?;
        match verb.class {
            Class::Query => Ok(verb),
            Class::Command | Class::Transfer => {
                let message = format!("`{}` changes something; here you can only look", verb.name);
                Err(Refusal::new(Code::Denied, message))
            }
        }
    }

    fn subscribe(&self, caller: &Caller, standing: &Standing, filter: &Filter) -> bool {
        self.0.subscribe(caller, standing, filter)
    }

    fn deliver(&self, caller: &Caller, standing: &Standing, offer: Offer<'_>) -> bool {
        self.0.deliver(caller, standing, offer)
    }

    fn disconnected(&self, _: &Caller, _: &Standing, cause: Cause) -> Option<String> {
        (cause == Cause::ProtocolError).then(|| "a reader broke the protocol".to_owned())
    }
}
