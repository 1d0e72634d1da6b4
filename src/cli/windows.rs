//! `patchday windows`.

use jiff::Timestamp;

use super::app::App;
use super::args::WindowsArgs;
use crate::error::Failure;
use crate::exit_code;
use crate::host::Clock as _;
use crate::host::clock::SystemClock;
use crate::ui::windows::{FORMAT, Windows};

pub(super) fn windows(app: &App, args: &WindowsArgs) -> Result<u8, Failure> {
    let located = app.load_config()?;
    let (now, zone) = (Timestamp::now(), SystemClock.zone());
    let hold = app.state.hold()?.filter(|hold| hold.is_in_force(now));
    let always = located.settings.windows.is_empty();
    let pieces = located.settings.schedule(&zone).pieces(now, hold.as_ref(), args.count.into());
    let windows = Windows { format: FORMAT, always, hold: hold.as_ref(), pieces: &pieces, now, zone: &zone };
    app.answer(&windows, args.json)?;
    Ok(exit_code::DONE)
}
