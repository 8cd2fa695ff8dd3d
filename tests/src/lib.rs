//! The world for whole-system tests.
