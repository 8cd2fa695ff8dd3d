//! Which devices a command is about, by a query.

/// Devices that fit a query; all of them without one.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Matching {
    /// Only devices that fit this query, see docs/registry.md
    #[arg(
        long = "where",
        value_name = "QUERY",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) query: String,
}
