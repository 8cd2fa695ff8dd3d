//! Who the devices are: identity, lifecycle, groups, operators.
