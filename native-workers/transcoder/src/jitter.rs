//! How far packets of sound are from when it is due.

/// How much of a file is looked at for the times of its sound.
pub(crate) const LOOK_SECONDS: u32 = 30;
/// Packets around one, itself among them, by which its time is judged: about a second of sound.
const AROUND: usize = 51;

/// When a packet is heard, and for how long, in seconds.
pub(crate) type Heard = (f64, f64);

/// How many seconds apart packets are, the latest and the earliest, from when their sound is due: recorders state when packets came,
/// which is several at a time. A lack of sound, which moves all that follows, does not count.
pub(crate) fn jitter(packets: &[Heard]) -> f64 {
    let Some((start, _)) = packets.first() else {
        return 0.0;
    };
    let mut due = *start;
    let late: Vec<f64> = packets
        .iter()
        .map(|(time, lasts)| {
            let late = time - due;
            due += lasts;
            late
        })
        .collect();
    let (mut earliest, mut latest) = (0.0_f64, 0.0_f64);
    for at in 0..late.len() {
        let half = (AROUND / 2).min(at).min(late.len() - 1 - at);
        let mut around = late[at - half..=at + half].to_vec();
        around.sort_by(f64::total_cmp);
        let late = late[at] - around[half];
        (earliest, latest) = (earliest.min(late), latest.max(late));
    }
    latest - earliest
}

/// The same packets, each as long as they usually are: of codecs whose packets are equally long, what a container has for the length of
/// one is only how long after it the next one came.
pub(crate) fn evened(packets: &[Heard]) -> Vec<Heard> {
    let mut spans: Vec<f64> = packets
        .windows(AROUND)
        .filter_map(|some| Some((some.last()?.0 - some.first()?.0) / (AROUND - 1) as f64))
        .collect();
    spans.sort_by(f64::total_cmp);
    let usual = spans.get(spans.len() / 2).copied();
    packets
        .iter()
        .map(|(time, lasts)| (*time, usual.unwrap_or(*lasts)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred packets of 20 ms, each as late as said.
    fn late(by: impl Fn(usize) -> f64) -> Vec<Heard> {
        (0..100)
            .map(|at| (at as f64 * 0.02 + by(at), 0.02))
            .collect()
    }

    #[test]
    fn packets_that_come_together_jitter_and_holes_do_not() {
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found}");
        near(jitter(&[]), 0.0);
        near(jitter(&late(|_| 5.0)), 0.0);
        // Three at the time of the first.
        near(jitter(&late(|at| -0.02 * (at % 3) as f64)), 0.04);
        near(jitter(&late(|at| if at >= 40 { 0.3 } else { 0.0 })), 0.0);
        // Pairs, in a container that has for a length how long after it the next one came.
        let pairs = late(|at| -0.02 * (at % 2) as f64);
        let stated: Vec<Heard> = pairs
            .windows(2)
            .map(|two| (two[0].0, two[1].0 - two[0].0))
            .collect();
        near(jitter(&stated), 0.0);
        // Of two, either may be taken for the one that is on time.
        near(jitter(&evened(&stated)), 0.04);
        near(jitter(&late(|at| if at == 40 { 0.03 } else { 0.0 })), 0.03);
    }
}
