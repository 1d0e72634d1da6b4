//! The command line: the only part that looks at the terminal, the environment and the real adapters.

mod abort;
mod app;
mod args;
mod attach;
mod checks;
mod complete;
mod config;
mod coordinate;
mod doctor;
mod follow;
mod gate;
mod hand_over;
mod history;
mod hold;
mod init;
mod keys;
mod limits;
mod logs;
mod look;
mod man;
mod modes;
mod notify;
mod page;
mod person;
mod plan;
mod removal;
mod report;
mod resume;
mod room;
mod run;
mod status;
mod verify;
mod windows;
mod witness;

use std::io::{stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use self::app::App;
use self::args::{Args, Command};
use crate::error::{Failure, FailureKind};
use crate::{exit_code, host, ui};

/// The command line as clap sees it; for the man pages and the documentation.
pub fn command() -> clap::Command {
    args::command()
}

/// Every man page: the name of its file, and what is in it.
pub fn man_pages() -> std::io::Result<Vec<(String, String)>> {
    man::pages(command_for_generators())
}

/// Parses, runs, and maps to an exit code.
pub fn main() -> ExitCode {
    match complete::answer(command) {
        Ok(false) => {}
        Ok(true) => return ExitCode::from(exit_code::DONE),
        // A shell shows what it is told, and nobody asked for an error.
        Err(_) => return ExitCode::from(exit_code::UNEXPECTED),
    }
    let args = match command().try_get_matches().and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; clap knows where each is printed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit_code::USAGE } else { exit_code::DONE });
        }
    };
    let app = App::new(&args);
    match dispatch(&app, args.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let hints: Vec<String> = failure.hint.iter().cloned().collect();
            for line in failure.message.lines() {
                let is_last = failure.message.lines().next_back() == Some(line);
                ui::print_error(&mut stderr(), line, &[], if is_last { &hints } else { &[] }, &app.stderr_style());
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(app: &App, command: Command) -> Result<u8, Failure> {
    match command {
        // These need neither the bus nor a runtime: they answer at once.
        Command::Status(args) => status::status(app, &args),
        Command::Report(args) => report::report(app, &args),
        Command::Windows(args) => windows::windows(app, &args),
        Command::Hold(args) => hold::hold(app, &args),
        Command::Release => hold::release(app),
        Command::Logs(args) => logs::logs(app, &args),
        Command::History(args) => history::history(app, &args),
        Command::Checks(args) => checks::checks(app, &args),
        Command::Config(args) => config::config(app, &args),
        Command::MayBeRemoved => removal::may_be_removed(app),
        Command::Completions { shell } => {
            let script = complete::script(shell);
            let script = script.map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
            page::print(&String::from_utf8_lossy(&script))?;
            Ok(exit_code::DONE)
        }
        Command::Man { directory } => man::write(command_for_generators(), &directory)
            .map(|()| exit_code::DONE)
            .map_err(|error| Failure::new(FailureKind::Usage, format!("write {}: {error}", directory.display()))),
        Command::ExecWithStatus { status, argv } => {
            let error = host::systemd::exec_with_status(&status, &argv);
            Err(Failure::new(FailureKind::Unexpected, format!("start {}: {error}", argv.join(" "))))
        }
        Command::HoldPackageLocks => {
            let wrong =
                |error: String| Failure::new(FailureKind::Unexpected, format!("take the locks of apt: {error}"));
            let _held = host::apt::take_locks(Path::new("/")).map_err(wrong)?;
            loop {
                std::thread::park();
            }
        }
        Command::BuildKernel { status, jobs, source } => {
            let wrong = |error: String| Failure::new(FailureKind::Unexpected, format!("build the kernel: {error}"));
            let source = serde_json::from_str(&source).map_err(|error| wrong(error.to_string()))?;
            host::kernel::build(&source, jobs, status, &mut stdout()).map_err(wrong)?;
            Ok(exit_code::DONE)
        }
        Command::BuildModules { kernel, modules } => {
            let built = host::kernel::install_modules(&kernel, &modules, &mut stdout());
            built.map_err(|error| Failure::new(FailureKind::Unexpected, error))?;
            Ok(exit_code::DONE)
        }
        command => {
            app::init_logging(app.stderr_style().color);
            // One thread: a run waits nearly all of its time, and to hand every answer of the bus from one thread to
            // another is a quarter of what it costs. Whatever may hang is read on threads of its own.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::new(FailureKind::Unexpected, format!("start the runtime: {error}")))?;
            let code = runtime.block_on(dispatch_async(app, command));
            // A read that hangs in a worker must not keep the process alive.
            runtime.shutdown_background();
            code
        }
    }
}

async fn dispatch_async(app: &App, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Init(args) => init::init(app, &args).await,
        Command::Plan(args) => plan::plan(app, &args).await,
        Command::Run(args) if args.dry_run => plan::plan(app, &args.plan()).await,
        Command::Run(args) => run::run(app, &args).await,
        Command::Doctor(args) => doctor::doctor(app, &args).await,
        Command::Notify(args) => notify::notify(app, &args).await,
        Command::Attach(args) => attach::attach(app, &args).await,
        Command::Verify(args) => verify::verify(app, &args).await,
        Command::Resume(args) => resume::resume(app, &args).await,
        Command::Abort(args) => abort::abort(app, &args).await,
        Command::Limits(args) => limits::limits(app, &args).await,
        Command::Witness => witness::witness(app).await,
        Command::MendBatch { directory } => {
            let mended = host::apt::mend(Path::new("/"), &directory, &mut stdout()).await;
            mended.map_err(|error| Failure::new(FailureKind::Unexpected, format!("mend files: {error}")))?;
            Ok(exit_code::DONE)
        }
        other => Err(Failure::new(FailureKind::Unexpected, format!("{other:?} needs no runtime"))),
    }
}

fn command_for_generators() -> clap::Command {
    command().disable_help_subcommand(true)
}
