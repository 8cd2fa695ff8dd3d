//! The edge: everything that waits for the network, the disk or the platform.

mod body;
mod commanding;
mod configuring;
mod connecting;
mod enrolling;
mod errand;
mod fetching;
mod renewing;
mod retiring;
mod retries;
mod returning;
mod session;
mod trial;
mod updating;
mod words;
mod work;

pub(crate) use body::Body;
pub(crate) use connecting::run;
