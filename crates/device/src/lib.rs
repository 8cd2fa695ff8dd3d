//! The device SDK: keys, enrolment, reports, updates, retirement.
