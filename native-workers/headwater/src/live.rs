//! The ingest worker of `headwater up`: which ports it takes.
//!
//! It is a child of its own. When it falls, the next one is to answer where encoders and the origin look for it, so ports
//! are settled here and told.

use crate::fault::{Blame, Kind};
use anyhow::{Context, Result};
use clap::Parser;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

#[derive(Parser)]
pub(crate) struct Args {
    /// Take no live events in: ingest workers elsewhere do, or nobody.
    #[arg(long, env = "HEADWATER_NO_INGEST")]
    no_ingest: bool,
    /// Address of RTMP; the backup is on the port after it. Port 0 takes free ones. 127.0.0.1:1935 by default.
    #[arg(long, env = "HEADWATER_RTMP_LISTEN", value_parser = crate::up::address)]
    rtmp_listen: Option<SocketAddr>,
    /// Address of RTMPS with --tls, likewise. 127.0.0.1:2935 by default.
    #[arg(long, env = "HEADWATER_RTMPS_LISTEN", value_parser = crate::up::address)]
    rtmps_listen: Option<SocketAddr>,
    /// First address of SRT: each event has a port of its own. IPv4. 127.0.0.1:6000 by default.
    #[arg(long, env = "HEADWATER_SRT_LISTEN", value_parser = crate::up::address)]
    srt_listen: Option<SocketAddr>,
    /// The host name in the URLs that encoders are told; by default that of the public URL, else the address of RTMP.
    #[arg(long, env = "HEADWATER_INGEST_HOST")]
    ingest_host: Option<String>,
    /// Every name below the ingest host leads here, too.
    #[arg(long, env = "HEADWATER_INGEST_HOST_LABELS", requires = "ingest_host")]
    ingest_host_labels: bool,
    /// Where ingest workers on other machines answer the origin, separated by white space, e.g. `http://10.0.0.0/24:9500`.
    #[arg(long, env = "HEADWATER_LIVE_HOSTS", default_value = "")]
    live_hosts: String,
    /// Address of the ingest worker's `/livez`, `/readyz` and `/metrics`; without it there is none.
    #[arg(long, env = "HEADWATER_INGEST_HEALTH_LISTEN", value_parser = crate::up::address)]
    ingest_health_listen: Option<SocketAddr>,
}

/// What the worker is told.
pub(crate) struct Ports {
    rtmp: [SocketAddr; 2],
    rtmps: Option<[SocketAddr; 2]>,
    srt: SocketAddr,
    edge: SocketAddr,
    host: String,
}

/// A TCP port that is free now, or `address` itself.
fn settled(address: SocketAddr, option: &str) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).blame(
        Kind::CannotCreate,
        format_args!("listening on {address} ({option})"),
    )?;
    Ok(listener.local_addr()?)
}

fn free(like: SocketAddr, option: &str) -> Result<SocketAddr> {
    settled(SocketAddr::new(like.ip(), 0), option)
}

/// Two ports in a row from `wanted` on; by default those of `usual`, or free ones if somebody else has them.
fn pair(wanted: Option<SocketAddr>, usual: u16, option: &str) -> Result<[SocketAddr; 2]> {
    let both = |first: SocketAddr| -> Result<[SocketAddr; 2]> {
        let first = settled(first, option)?;
        let mut second = first;
        second.set_port(first.port().saturating_add(1));
        Ok([first, settled(second, option)?])
    };
    match wanted {
        Some(address) if address.port() == 0 => {
            Ok([free(address, option)?, free(address, option)?])
        }
        Some(address) => both(address),
        None => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, usual));
            both(address).or_else(|error| {
                tracing::warn!("{error:#}; taking other ports");
                Ok([free(address, option)?, free(address, option)?])
            })
        }
    }
}

impl Args {
    /// Settles the ports. `tls`: whether there is a certificate. `public_host`: of the installation's public URL.
    ///
    /// Ok `None` if no events are taken in.
    pub(crate) fn ports(&self, tls: bool, public_host: Option<&str>) -> Result<Option<Ports>> {
        if self.no_ingest {
            return Ok(None);
        }
        let rtmp = pair(self.rtmp_listen, 1935, "--rtmp-listen")?;
        let rtmps = match tls {
            true => Some(pair(self.rtmps_listen, 2935, "--rtmps-listen")?),
            false => None,
        };
        let srt = match self.srt_listen {
            Some(address) if address.port() == 0 => UdpSocket::bind(address)
                .and_then(|socket| socket.local_addr())
                .context("a port for SRT")?,
            Some(address) => address,
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, 6000)),
        };
        let [first, _] = rtmp;
        let own = crate::up::reachable(first.ip()).to_string();
        let host = self.ingest_host.as_deref().or(public_host);
        Ok(Some(Ports {
            rtmp,
            rtmps,
            srt,
            edge: free(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "the live edge")?,
            host: host.map_or(own, str::to_owned),
        }))
    }

    /// Whom the origin may ask for newest moments.
    pub(crate) fn hosts(&self, ports: Option<&Ports>) -> String {
        let own = ports.map(|ports| format!("http://{}", ports.edge));
        let hosts: Vec<_> = own
            .iter()
            .map(String::as_str)
            .chain(self.live_hosts.split_whitespace())
            .collect();
        hosts.join(" ")
    }

    /// The worker's command line, but for what every worker is told.
    pub(crate) fn command(
        &self,
        ports: &Ports,
        data: &std::path::Path,
        streaming_url: &str,
        tls: Option<&crate::tls::Tls>,
    ) -> Vec<String> {
        let list = |[a, b]: &[SocketAddr; 2]| format!("{a},{b}");
        let mut args = vec![
            format!("--data={}", data.join("ingest").display()),
            format!("--rtmp-listen={}", list(&ports.rtmp)),
            format!("--srt-listen={}", ports.srt),
            format!("--edge-listen={}", ports.edge),
            format!("--public-host={}", ports.host),
            format!("--streaming-url={streaming_url}"),
        ];
        if self.ingest_host_labels {
            args.push("--host-labels".to_owned());
        }
        if let Some(address) = self.ingest_health_listen {
            args.push(format!("--health-listen={address}"));
        }
        if let (Some(rtmps), Some(tls)) = (&ports.rtmps, tls) {
            args.push(format!("--rtmps-listen={}", list(rtmps)));
            args.push(format!("--tls-cert={}", tls.cert_file.display()));
            args.push(format!("--tls-key={}", tls.key_file.display()));
        }
        args
    }
}

impl Ports {
    /// Where RTMP is taken; the event's token follows.
    pub(crate) fn rtmp_url(&self) -> String {
        let [first, _] = self.rtmp;
        format!("rtmp://{}:{}/live", self.host, first.port())
    }

    /// Where the first SRT event is taken.
    pub(crate) fn srt_url(&self) -> String {
        format!("srt://{}:{}", self.host, self.srt.port())
    }
}
