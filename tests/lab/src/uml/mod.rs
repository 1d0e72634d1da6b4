//! Machines with a kernel of their own, without KVM: User Mode Linux.
//!
//! They have what a container lacks: control groups of version 2 with all controllers, so that caps bite, and a page
//! cache that is lost when the power is cut. They have no network; what they upgrade comes from a repository inside.
//!
//! | file | what it knows |
//! |---|---|
//! | `image.rs` | the disk from which machines are made |
//! | `kernel.rs` | a machine that builds its own kernel and boots it |
//! | `packages.rs` | the packages that are pending on it |
//! | `emulator.rs` | how UML is started, and how files come in |

mod emulator;
mod image;
mod kernel;
pub(crate) mod packages;

pub(crate) use image::UmlImage;

pub use packages::PENDING as UML_PACKAGES;
