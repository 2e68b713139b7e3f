//! A child process that can compute, read its source and write into its folder, and little else.
//!
//! What demuxers and decoders of every format do with a hostile file is not foreseeable, so they run where it matters less:
//!
//! * no network: an own network namespace where the kernel allows one, and always a seccomp filter without `socket`;
//! * no other files: it reads its source and the system's libraries, and writes into its folder ([`super::landlock`]), where
//!   the kernel has that;
//! * bounded: address space, processor time and the size of files (`setrlimit`), no core dumps;
//! * nothing to learn: the environment is empty, standard input is closed, the working directory is the job's folder;
//! * no way up: `no_new_privs`, and a user namespace of its own where there is one, in which even root has no powers;
//! * it ends: the child leads a process group, which is killed when the job stops, and with the worker's thread.
//!
//! Outside of Linux only limits, environment and process group apply.
#![allow(unsafe_code)]

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[cfg(target_os = "linux")]
use super::landlock::Ruleset;

/// What a child may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Address space.
    pub memory_bytes: u64,
    /// Of one file.
    pub file_bytes: u64,
    /// Processor time.
    pub cpu: Duration,
    /// How long it may go without a word on standard output, or without getting on ([`Program::run_counted`]).
    pub silence: Duration,
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<String>,
    /// Where it works, and may write.
    pub folder: PathBuf,
    pub limits: Limits,
    /// What it may read besides.
    pub reads: Vec<PathBuf>,
}

/// How a child ended.
#[derive(Debug)]
pub enum Ended {
    /// With status 0.
    Done {
        /// At most [`KEPT_BYTES`]; empty when lines were listened to.
        stdout: Vec<u8>,
        stderr: String,
    },
    /// With another status.
    Failed {
        /// Of `exit`; `None` if it was killed.
        code: Option<i32>,
        /// What killed it.
        signal: Option<i32>,
        stderr: String,
    },
    /// Killed: it was silent for too long.
    Silent { stderr: String },
    /// Killed: the job is to stop.
    Stopped,
    /// It never ran.
    NotStarted(std::io::Error),
}

/// Seconds of the processor between SIGXCPU and SIGKILL, which would not tell a child that took too long from one that the kernel
/// killed for want of memory.
const CPU_AFTER_NOTICE: u64 = 10;
/// Most bytes of standard output that are kept.
const KEPT_BYTES: u64 = 16 << 20;
/// Most bytes of standard error that are kept: the first and the last half of them.
const KEPT_ERRORS: usize = 64 << 10;

impl Program {
    /// Runs it to its end, or kills it once `stop` is cancelled. `line`: told every line of standard output; without it
    /// the output is kept.
    pub async fn run(
        &self,
        stop: &CancellationToken,
        line: Option<&mut (dyn FnMut(&str) + Send + '_)>,
    ) -> Ended {
        self.watched(stop, line, None).await
    }

    /// As [`Self::run`], of an ffmpeg that reports its progress on standard output (`-progress pipe:1`): what counts is not that it
    /// says something, which it does every so often whatever becomes of it, but that something it counts has grown.
    pub async fn run_counted(
        &self,
        stop: &CancellationToken,
        line: &mut (dyn FnMut(&str) + Send + '_),
    ) -> Ended {
        self.watched(stop, Some(line), Some(Counts::default()))
            .await
    }

    async fn watched(
        &self,
        stop: &CancellationToken,
        line: Option<&mut (dyn FnMut(&str) + Send + '_)>,
        mut counts: Option<Counts>,
    ) -> Ended {
        let mut command = self.command();
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ended::NotStarted(error),
        };
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Ended::NotStarted(std::io::ErrorKind::BrokenPipe.into());
        };
        let output = async {
            let mut kept = Vec::new();
            let Some(line) = line else {
                let _ = stdout.take(KEPT_BYTES).read_to_end(&mut kept).await;
                return Some(kept);
            };
            let mut lines = BufReader::new(stdout).lines();
            let mut moved = Instant::now();
            loop {
                let patience = moved + self.limits.silence;
                match tokio::time::timeout_at(patience, lines.next_line()).await {
                    Ok(Ok(Some(text))) => {
                        if counts.as_mut().is_none_or(|counts| counts.grow(&text)) {
                            moved = Instant::now();
                        }
                        line(&text);
                    }
                    Ok(_) => return Some(kept),
                    Err(_) => {
                        group.kill();
                        return None;
                    }
                }
            }
        };
        let all = async {
            let (kept, stderr) = tokio::join!(output, keep_errors(stderr));
            (kept, stderr, child.wait().await)
        };
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = tokio::time::timeout(self.limits.cpu * 4 + self.limits.silence, all) => Some(ended),
        };
        // Also what an ended child may have left behind.
        group.kill();
        let (kept, stderr, status) = match ended {
            None => {
                let _ = child.wait().await;
                return Ended::Stopped;
            }
            Some(Err(_)) => {
                let _ = child.wait().await;
                let stderr = String::new();
                return Ended::Silent { stderr };
            }
            Some(Ok(ended)) => ended,
        };
        let Some(kept) = kept else {
            return Ended::Silent { stderr };
        };
        let status = match status {
            Ok(status) => status,
            Err(error) => return Ended::NotStarted(error),
        };
        if status.success() {
            return Ended::Done {
                stdout: kept,
                stderr,
            };
        }
        Ended::Failed {
            code: status.code(),
            signal: signal_of(status),
            stderr,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .env("AV_LOG_FORCE_NOCOLOR", "1")
            .env("HOME", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        confine(&mut command, self);
        command
    }
}

/// What ffmpeg has counted so far.
#[derive(Debug, Default)]
struct Counts {
    /// Of [`Self::NAMES`].
    most: [u64; 3],
}

impl Counts {
    const NAMES: [&str; 3] = ["frame", "total_size", "out_time_us"];

    /// Whether a line of its report says more than the ones before.
    fn grow(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.split_once('=') else {
            return false;
        };
        let most = Self::NAMES.iter().zip(&mut self.most);
        let known = most.into_iter().find(|(known, _)| **known == name);
        match (known, value.trim().parse::<u64>()) {
            (Some((_, most)), Ok(value)) if value > *most => {
                *most = value;
                true
            }
            _ => false,
        }
    }
}

/// A process group that dies with this.
struct Group(Option<i32>);

impl Group {
    fn kill(&self) {
        if let Some(leader) = self.0 {
            // SAFETY: sends a signal; touches no memory.
            unsafe {
                libc::kill(-leader, libc::SIGKILL);
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal_of(status: std::process::ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal()
}

async fn keep_errors(mut stderr: tokio::process::ChildStderr) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0_u8; 4096];
    while let Ok(read) = stderr.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > KEPT_ERRORS {
            // The first lines say what is wrong with a file, the last what ended the program.
            kept.drain(KEPT_ERRORS / 2..kept.len() - KEPT_ERRORS / 2);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn confine(command: &mut Command, program: &Program) {
    let limits = program.limits;
    command.process_group(0);
    let parent = std::process::id();
    #[cfg(target_os = "linux")]
    let (filter, files) = (linux::filter(), Ruleset::of(program));
    let set = move || {
        let seconds = limits.cpu.as_secs().max(1);
        limit(libc::RLIMIT_AS, limits.memory_bytes, 0)?;
        limit(libc::RLIMIT_CPU, seconds, CPU_AFTER_NOTICE)?;
        limit(libc::RLIMIT_FSIZE, limits.file_bytes, 0)?;
        limit(libc::RLIMIT_CORE, 0, 0)?;
        #[cfg(target_os = "linux")]
        linux::lock_down(parent, filter.as_ref(), files.as_ref())?;
        #[cfg(not(target_os = "linux"))]
        let _ = parent;
        Ok(())
    };
    // SAFETY: between `fork` and `exec` the closure makes system calls on values that were made before, and allocates
    // nothing.
    unsafe {
        command.pre_exec(set);
    }
}

#[cfg(target_os = "linux")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_os = "linux"))]
type Resource = libc::c_int;

/// `beyond`: what there is between the notice and the end, for a resource that has a notice.
fn limit(resource: Resource, most: u64, beyond: u64) -> std::io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: most as libc::rlim_t,
        rlim_max: most.saturating_add(beyond) as libc::rlim_t,
    };
    // SAFETY: the structure is whole and outlives the call.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io;

    use super::super::landlock::Ruleset;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

    /// What a program that encodes has no business with: the network, other processes, the kernel's machinery. io_uring
    /// is among it because what goes through it is not filtered.
    const REFUSED: [libc::c_long; 27] = [
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_io_uring_setup,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
    ];

    /// Set in the numbers of system calls of the x32 ABI, by which the same calls can be made.
    #[cfg(target_arch = "x86_64")]
    const X32: i64 = 0x4000_0000;

    /// `None` on machines that the filter is not known for.
    pub(super) fn filter() -> Option<BpfProgram> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
        let mut rules = BTreeMap::new();
        for call in REFUSED {
            rules.insert(call, Vec::new());
            #[cfg(target_arch = "x86_64")]
            rules.insert(call | X32, Vec::new());
        }
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            arch,
        );
        filter.ok()?.try_into().ok()
    }

    /// Runs in the child. `parent`: whose end is to be the child's.
    pub(super) fn lock_down(
        parent: u32,
        filter: Option<&BpfProgram>,
        files: Option<&Ruleset>,
    ) -> io::Result<()> {
        // SAFETY: system calls with plain numbers.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // It may have ended before the call.
            if u32::try_from(libc::getppid()).ok() != Some(parent) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // Containers often forbid it; the filter stands all the same.
            libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWIPC);
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        if let Some(files) = files {
            files.enter()?;
        }
        match filter {
            Some(filter) => {
                apply_filter(filter).map_err(|_| io::Error::from_raw_os_error(libc::EPERM))
            }
            None => Ok(()),
        }
    }
}
