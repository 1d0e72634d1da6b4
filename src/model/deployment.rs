//! Checkouts from which services run.

/// What is only here, in one checkout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkout {
    pub path: String,
    /// Whose it is, by number.
    pub owner: u32,
    /// The branch; none if a commit is checked out by itself.
    pub branch: Option<String>,
    /// Files that differ from the commit, as git's short status tells them.
    pub changes: Vec<String>,
    /// Stashed changes, as git lists them.
    pub stashes: Vec<String>,
    /// Commits on any branch that no remote has, one line each.
    pub unpushed: Vec<String>,
    /// Commits that the upstream had when it was last fetched, and this branch has not; none without an upstream.
    pub behind: Option<u32>,
}
