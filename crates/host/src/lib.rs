//! Runs any service: inbox, decide, commit, acknowledge, publish.
