#![doc = include_str!("../README.md")]

mod clock;
pub mod governor;
pub mod handover;
mod leash;
#[expect(unsafe_code, reason = "the allocator is set up by calls without a safe wrapper")]
pub mod memory;
mod notify;
pub mod privileges;
pub mod protected;
pub mod rates;
pub mod senders;
pub mod stall;
mod supervise;
#[expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; every block says why it is sound"
)]
mod sys;
mod ward;
pub mod watch;
pub mod watchdog;
pub mod word;

pub use leash::{Heard, Leash};
pub use supervise::{Charge, supervise};
pub use sys::{hang_up, own_user, since_boot_ns};
