//! The file's shapes.
