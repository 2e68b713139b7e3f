//! `headwater`: the whole platform in one binary.

mod app;
mod blobstore;
mod bucket;
mod catalog;
mod cli;
mod client;
mod compare;
mod connect;
mod connection;
mod copy;
mod demo;
mod descriptors;
mod fault;
mod files;
mod gate;
mod health;
mod import;
mod ingest;
mod inspect;
mod keys;
mod live;
mod local;
mod master_key;
mod metering;
mod metrics;
mod notifier;
mod publish;
mod replay;
mod secrets;
mod shared;
mod storage;
mod supervisor;
mod tls;
mod token;
mod up;
mod worker;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use fault::Blame as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives the system back what was freed: what compiling and composing took stays with the process for minutes otherwise, or for
/// good where nothing is allocated any more.
#[allow(unsafe_code)]
pub(crate) fn release_freed_memory() {
    // SAFETY: it takes nothing and may be called at any time, from any thread that allocates with mimalloc.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[derive(Parser)]
#[command(
    name = "headwater",
    version,
    about = "An open video platform on your own storage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything on this machine.
    Up(Box<up::Args>),
    /// Upload, encode and publish files; prints playable URLs.
    Publish(publish::Args),
    /// Take over assets, locators, keys and policies that were exported from Azure Media Services.
    Import(import::Args),
    /// List, make, fill and delete assets.
    Assets(cli::assets::Args),
    /// List, start, follow and stop jobs.
    Jobs(cli::jobs::Args),
    /// Publish assets and print where they play.
    Locators(cli::locators::Args),
    /// Run live events and record them.
    Live(cli::live::Args),
    /// Print the completions of a shell, e.g. `source <(headwater completions bash)`.
    Completions { shell: clap_complete::Shell },
    /// Print an access token.
    Token(token::Args),
    /// Replace or refuse the keys that sign tokens.
    Keys(keys::Args),
    /// Copy the catalog to another database.
    Catalog(copy::Commands),
    /// Make up for storage events that were lost.
    Events(replay::Commands),
    /// Replace the key that seals every secret in the catalog.
    MasterKey(master_key::Commands),
    /// Print what an MP4, a playlist, a manifest or a segment consists of.
    Inspect(inspect::Args),
    /// Measure how renditions differ from their source: PSNR and SSIM, over time.
    Compare(compare::Args),
    /// Run a transcoding worker against an installation.
    Transcoder(worker::Args),
    /// Take live events in for an installation.
    Ingest(ingest::Args),
    /// Send webhooks for an installation.
    Notifier(notifier::Args),
    /// Keep blobs for an installation of several hosts.
    Blobstore(blobstore::Args),
}

fn main() -> std::process::ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return usage(&error),
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("HEADWATER_LOG")
                .unwrap_or_else(|_| "warn,headwater=info,headwater_host=info,headwater_blobstore=info,headwater_transcoder=info,headwater_ingest=info,headwater_notifier=info".into()),
        )
        .init();
    match run(command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            fault::exit_code(&error)
        }
    }
}

/// Says what is wrong with the command line. Its values may have come from the environment, so the variable is named too.
fn usage(error: &clap::Error) -> std::process::ExitCode {
    use clap::error::{ContextKind, ContextValue};
    let _ = error.print();
    if !error.use_stderr() {
        return std::process::ExitCode::SUCCESS;
    }
    let named: &[String] = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(one)) => std::slice::from_ref(one),
        Some(ContextValue::Strings(several)) => several,
        _ => &[],
    };
    let flags: Vec<&str> = named
        .iter()
        .filter_map(|argument| argument.split([' ', '=']).next())
        .collect();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let cli = Cli::command();
    let arguments = cli
        .find_subcommand(&wanted)
        .into_iter()
        .flat_map(clap::Command::get_arguments);
    for argument in arguments {
        if let (Some(long), Some(variable)) = (argument.get_long(), argument.get_env())
            && flags.contains(&format!("--{long}").as_str())
        {
            eprintln!("--{long} is also read from {}.", variable.to_string_lossy());
        }
    }
    std::process::ExitCode::from(fault::Kind::Usage as u8)
}

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let tracing = trace(&command)?;
        let result = match command {
            Command::Up(args) => up::run(*args).await,
            Command::Publish(args) => publish::run(args).await,
            Command::Import(args) => import::run(args).await,
            Command::Assets(args) => cli::assets::run(args).await,
            Command::Jobs(args) => cli::jobs::run(args).await,
            Command::Locators(args) => cli::locators::run(args).await,
            Command::Live(args) => cli::live::run(args).await,
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "headwater", &mut script);
                cli::say(&String::from_utf8_lossy(&script))
            }
            Command::Token(args) => token::run(args).await,
            Command::Keys(args) => keys::run(args).await,
            Command::Catalog(commands) => copy::run(commands).await,
            Command::Events(commands) => replay::run(commands).await,
            Command::MasterKey(commands) => master_key::run(commands).await,
            Command::Inspect(args) => inspect::run(args).await,
            Command::Compare(args) => compare::run(args).await,
            Command::Transcoder(args) => worker::run(args).await,
            Command::Ingest(args) => ingest::run(args).await,
            Command::Notifier(args) => notifier::run(args).await,
            Command::Blobstore(args) => blobstore::run(args).await,
        };
        if let Some(tracing) = tracing {
            // It waits for its exporter.
            let _ = tokio::task::spawn_blocking(|| tracing.shutdown()).await;
        }
        result
    });
    // A blocking read (standard input, a slow disk) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// Exports traces of what serves or works, if the environment says where to.
fn trace(command: &Command) -> Result<Option<headwater_trace::Tracing>> {
    let service = match command {
        Command::Up(_) => "headwater",
        Command::Transcoder(_) => "headwater-transcoder",
        Command::Ingest(_) => "headwater-ingest",
        Command::Notifier(_) => "headwater-notifier",
        Command::Blobstore(_) => "headwater-blobstore",
        _ => return Ok(None),
    };
    headwater_trace::start(&headwater_trace::Settings::from_environment(), service)
        .blame(fault::Kind::Configuration, "traces")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(command: &clap::Command, found: &mut Vec<(String, String)>) {
        for argument in command.get_arguments() {
            if let (Some(long), Some(variable)) = (argument.get_long(), argument.get_env()) {
                let variable = variable.to_string_lossy().into_owned();
                found.push((format!("--{long}"), variable));
            }
        }
        for command in command.get_subcommands() {
            arguments(command, found);
        }
    }

    #[test]
    fn what_messages_call_settings_is_what_the_command_line_calls_them() {
        let command = Cli::command();
        // Also that no two groups of arguments call theirs the same.
        command.clone().debug_assert();
        let mut found = Vec::new();
        arguments(&command, &mut found);
        for setting in fault::ALL {
            let named = (setting.flag.to_owned(), setting.variable.to_owned());
            assert!(found.contains(&named), "{setting}");
        }
    }
}
