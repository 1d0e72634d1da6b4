//! Machines with a real boot loader, without KVM: QEMU translates what they run.
//!
//! They are slow (a boot takes a minute or two), and show what nothing else does: a real kernel, chosen by a real GRUB.
//!
//! | file | what it knows |
//! |---|---|
//! | `emulator.rs` | how QEMU is started, and how files come in |
//! | `image.rs` | the disk from which machines are made |

mod emulator;
mod image;

pub(crate) use image::QemuImage;
