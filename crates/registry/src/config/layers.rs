//! What a device's configuration is made of.

use std::cmp::Reverse;

use contract::{
    document::{self, Document},
    v1::{ConfigScope, Device},
};
use service::{View, store::StoreError};

use super::state;
use crate::tree;

/// One layer.
pub(super) struct Layer {
    /// `device`, `group line-7`, `type pump`.
    pub(super) source: String,
    pub(super) document: Document,
}

/// The templates that a device is under, the strongest first: its groups' by falling priority, of equals the one that
/// lies deeper within others, then the one that comes first in the alphabet; then its type's.
pub(super) fn templates(view: &View<'_>, device: &Device) -> Result<Vec<Layer>, StoreError> {
    let mut groups = Vec::new();
    for group in tree::with_above(view, &device.groups)? {
        if let Some(template) = state::template(view, ConfigScope::Group, &group)? {
            groups.push((tree::above(view, &group)?.len(), template));
        }
    }
    groups.sort_by(|(deep, a), (deeper, b)| {
        (Reverse(a.priority), Reverse(deep), &a.id).cmp(&(Reverse(b.priority), Reverse(deeper), &b.id))
    });
    let groups = groups.into_iter().map(|(_, template)| template);
    let kind = match device.device_type.as_str() {
        "" => None,
        kind => state::template(view, ConfigScope::Type, kind)?,
    };
    let layers = groups.chain(kind).map(|template| Layer {
        source: format!("{} {}", state::word(template.scope()), template.id),
        document: state::read(&template.document),
    });
    Ok(layers.collect())
}

/// The whole of it: layers with the strongest first, under what was set for the device alone.
pub(super) fn whole(own: &Document, templates: &[Layer]) -> Document {
    let mut whole = Document::new();
    for layer in templates.iter().rev() {
        document::merge(&mut whole, &layer.document);
    }
    document::merge(&mut whole, own);
    whole
}
