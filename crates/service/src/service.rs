//! The trait that the four services implement.

use contract::{
    approval::Touched,
    code::{Code, Refusal},
    id::{Id, Principal, ServiceName},
    verb::Verb,
    wire::Reply,
};

use crate::{
    host_loop::touched,
    outcome::Outcome,
    sight::Sight,
    store::{Blobs, StoreError},
    view::View,
};

/// The time as a core sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since 1970, UTC.
    pub wall_ms: i64,
    /// Milliseconds since some start; never goes back.
    pub mono_ms: u64,
}

/// Where randomness comes from: the operating system at the edge, a seed in the simulator.
pub trait Entropy {
    /// Fills `bytes` with bytes nobody can guess.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Who asks, as the broker vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Kind and name.
    pub principal: Principal,
    /// For a claim: the batch its certificate names.
    pub batch: Option<Id>,
    /// For a device that shows no claim but its factory certificate: that.
    pub factory: Option<contract::v1::FactoryCertificate>,
    /// The serial of its certificate, hex; empty when it has none.
    pub serial: String,
    /// The devices that the request may touch or tell of.
    pub sight: Sight,
}

/// What a decision may use besides the view.
pub struct Context<'a> {
    /// The time.
    pub now: Now,
    /// Randomness.
    pub entropy: &'a mut dyn Entropy,
    /// The installation's name.
    pub site: &'a str,
}

/// What a query may use besides the view.
pub struct QueryContext<'a> {
    /// The time.
    pub now: Now,
    /// The service's files.
    pub blobs: &'a dyn Blobs,
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The request is refused; the caller is told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk failed: nobody is told anything, and the request is held until it works again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A request as its service understands it.
#[derive(Debug)]
pub struct Parsed<R> {
    /// What is asked.
    pub request: R,
    /// The caller's name for this request; empty when it gave none.
    pub request_id: String,
    /// What it is about, for the audit log; empty for verbs that the log does not tell of.
    pub subjects: Vec<String>,
}

/// A fact of another service that changed.
#[derive(Debug, Clone, Copy)]
pub struct FactChange<'a> {
    /// Whose fact.
    pub owner: ServiceName,
    /// What sort of thing.
    pub entity: &'a str,
    /// Which one.
    pub id: &'a str,
    /// The new value; `None` when the thing is gone.
    pub value: Option<&'a [u8]>,
}

/// A service: its state, its verbs, its decisions. No I/O, no clock, no randomness of its own.
pub trait Service: Send + Sync + Sized + 'static {
    /// Its name on the bus.
    const NAME: ServiceName;
    /// Its requests, see [`crate::requests!`].
    type Request: Send + 'static;

    /// Whose facts it follows. (Every service follows the registry's, for grants.)
    fn follows(&self) -> &'static [ServiceName] {
        &[]
    }

    /// Reads a payload.
    fn parse(
        &self,
        verb: &'static Verb,
        payload: &[u8],
        content_type: &str,
    ) -> Result<Parsed<Self::Request>, Refusal>;

    /// The devices that a request names, for whoever may reach the devices of some groups only: all that the
    /// verbs of [`contract::scope::Scope::Devices`] are about.
    fn devices<'a>(&self, request: &'a Self::Request) -> Vec<&'a str> {
        let _ = request;
        Vec::new()
    }

    /// Whether a request only asks what would come of it: nobody need approve that.
    fn is_trial(&self, request: &Self::Request) -> bool {
        let _ = request;
        false
    }

    /// How many devices a request is about and how much they matter, for the rules of what another person must
    /// approve.
    fn touched(&self, view: &View<'_>, request: &Self::Request) -> Result<Touched, Fault> {
        Ok(touched::<Self>(view, &self.devices(request))?)
    }

    /// A payload as JSON, for people.
    fn json(&self, verb: &'static Verb, payload: &[u8], content_type: &str) -> Result<String, Refusal>;

    /// Decides a command. It sees what earlier requests of the same group decided.
    fn decide(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Self::Request,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault>;

    /// Answers a query or carries out a transfer, on a read thread.
    fn query(
        &self,
        view: &View<'_>,
        caller: &Caller,
        request: Self::Request,
        cx: &QueryContext<'_>,
    ) -> Result<Box<dyn Reply>, Fault>;

    /// One of its own records as the audit log may tell of it: its name (`devices/pump-7`) and its fields. `None`
    /// for what follows from others, and for whatever holds a secret.
    fn told(&self, key: &[u8], record: &[u8]) -> Option<(String, serde_json::Value)> {
        let _ = (key, record);
        None
    }

    /// Whether [`Service::told`] ever tells of a record under this key. `false` spares looking up what was there before:
    /// for what many decisions write.
    fn tells(&self, key: &[u8]) -> bool {
        let _ = key;
        true
    }

    /// A followed fact changed. [`View::fact`] still shows the former value.
    fn on_fact(&self, view: &View<'_>, fact: FactChange<'_>, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        let _ = (view, fact, cx);
        Ok(Outcome::default())
    }

    /// A wake-up's time has come, or the shell says that what this key stands for has changed.
    fn on_wake(&self, view: &View<'_>, key: &str, cx: &mut Context<'_>) -> Result<Outcome, Fault> {
        let _ = (view, key, cx);
        Ok(Outcome::default())
    }

    /// An effect has come to its result.
    fn on_effect(
        &self,
        view: &View<'_>,
        id: &str,
        result: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        let _ = (view, id, result, cx);
        Ok(Outcome::default())
    }

    /// A request of this service's to another was answered.
    fn on_answer(
        &self,
        view: &View<'_>,
        tag: &str,
        answer: Result<&[u8], Code>,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Fault> {
        let _ = (view, tag, answer, cx);
        Ok(Outcome::default())
    }
}

/// Declares a service's requests: an enum with a variant for each verb and the reading of payloads.
/// This is the only place where wire messages come in.
///
/// ```ignore
/// service::requests! {
///     /// What the registry is asked.
///     pub enum Request { "show" => Show(ShowDevice), "list" => List(ListDevices) }
/// }
/// ```
#[macro_export]
macro_rules! requests {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($verb:literal => $variant:ident($message:ty)),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis enum $name {
            $(#[doc = concat!("`", $verb, "`")] $variant($message),)*
        }

        impl $name {
            /// The verbs that can be read.
            $vis const VERBS: &'static [&'static str] = &[$($verb),*];

            /// Reads the payload of a verb.
            $vis fn parse(
                verb: &::contract::verb::Verb,
                payload: &[u8],
                content_type: &str,
            ) -> Result<$crate::Parsed<$name>, ::contract::Refusal> {
                match verb.name {
                    $($verb => {
                        let message: $message = ::contract::wire::decode(payload, content_type)?;
                        let request_id = message.request_id.clone();
                        let subjects = $crate::subjects(verb, &message);
                        Ok($crate::Parsed { request: $name::$variant(message), request_id, subjects })
                    })*
                    other => Err(::contract::Refusal::new(
                        ::contract::Code::UnknownVerb,
                        format!("this service does not answer `{other}`"),
                    )),
                }
            }

            /// A verb's payload as JSON.
            $vis fn json(
                verb: &::contract::verb::Verb,
                payload: &[u8],
                content_type: &str,
            ) -> Result<String, ::contract::Refusal> {
                match verb.name {
                    $($verb => ::contract::wire::to_json::<$message>(payload, content_type),)*
                    other => Err(::contract::Refusal::new(
                        ::contract::Code::UnknownVerb,
                        format!("this service does not answer `{other}`"),
                    )),
                }
            }
        }
    };
}
