//! What the host has, and how much of it is free.

/// What the machine has to give.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    pub cpus: u32,
    pub memory_total: u64,
    /// Bytes that a new program could use without swapping.
    pub memory_available: u64,
    /// Load over one minute.
    pub load_one_minute: f64,
}
