//! Developer commands: `cargo xtask <command>`. CI calls the same ones.

mod bed;
mod bench;
mod bench_api;
mod bench_formats;
mod bench_keys;
mod bench_live;
mod bench_protected;
mod bench_workers;
mod build;
mod by_hand;
mod checks;
mod debian;
mod failures;
mod installation;
mod licences;
mod node;
mod paths;
mod ports;
mod postgres;
mod probe;
mod run;
mod startup;
mod suites;
mod sum;
mod tally;
mod wasm;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, run and test Headwater.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the build needs, build everything, start it and print the URLs.
    Up {
        /// Passed on to `headwater up`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build functions, portal and the `headwater` binary without starting anything.
    Build,
    /// Build the Wasm components into dist/functions.
    Functions,
    /// Build the components that the host's tests run into dist/guests.
    Guests,
    /// Do all set-up and run every test suite; ends in `N passed, M failed`.
    Test {
        /// Only the suites with this in their name; may be given again.
        #[arg(long)]
        only: Vec<String>,
    },
    /// Only the end-to-end suites: SDKs, players.
    E2e,
    /// Run an installation of many processes on this machine and let each of them fall in turn. Takes some minutes.
    Bed {
        /// For pytest.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Put broken files and assets through index and origin: no panic, no second's wait, no more memory than 64 MiB or eight times
    /// the input. And mutated tokens before key delivery: none is accepted.
    Fuzz {
        /// How many for each of them; of tokens under public keys, which take long, a fiftieth.
        #[arg(long, default_value_t = 100_000)]
        count: u64,
        /// The first one's number; an input depends on its number alone.
        #[arg(long, default_value_t = 0)]
        first: u64,
    },
    /// Put sources of every kind through every preset of the transcoder, which takes two or three hours; the tests take one preset
    /// for each source.
    Matrix {
        /// Only sources and presets with this in their name; or a number: one preset for each source, so many further on in
        /// the list than the tests'.
        word: Option<String>,
    },
    /// Live for long: three players at the edge for ten minutes, through a restarted encoder and a killed worker; pictures and
    /// sound together for an hour.
    Soak {
        /// How long pictures and sound are looked at; players at most as long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// Formatting, lints, docs, and the Wasm build of the pure crates.
    Check,
    /// Measure; prints tables. `api`, `hosts`, `keys`, `live`, `origin`, `start`, `transcode` or `workers`.
    Bench {
        what: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Up { args } => suites::up(&args),
        Command::Build => build::everything(build::For::Use).map(drop),
        Command::Functions => build::functions().map(drop),
        Command::Guests => build::guests(),
        Command::Test { only } if only.is_empty() => suites::test(&suites::Selection::All),
        Command::Test { only } => suites::test(&suites::Selection::Named(only)),
        Command::E2e => suites::test(&suites::Selection::EndToEnd),
        Command::Bed { args } => bed::bed(&args),
        Command::Fuzz { count, first } => by_hand::fuzz(count, first),
        Command::Matrix { word } => by_hand::matrix(word.as_deref()),
        Command::Soak { minutes } => by_hand::soak(minutes),
        Command::Check => checks::check(),
        Command::Bench { what, args } => by_hand::bench(&what, &args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
