use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

const GRACE: Duration = Duration::from_secs(300);

/// What somebody says when asked.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Answers(u32),
    Refuses,
    CannotSay,
    Silent,
}

#[derive(Default)]
struct Peer {
    asked: AtomicU32,
}

impl Peer {
    async fn says(&self, mood: Mood) -> Result<Said<u32, &'static str>, &'static str> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match mood {
            Mood::Answers(answer) => Ok(Said::Again(answer, 4)),
            Mood::Refuses => Err("refused"),
            Mood::CannotSay => Ok(Said::Nothing("503")),
            Mood::Silent => std::future::pending().await,
        }
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

fn late() -> &'static str {
    "late"
}

fn lately() -> Lately<u32> {
    Lately::new(1 << 20)
}

#[tokio::test(start_paused = true)]
async fn what_was_said_lately_is_gone_by_and_who_is_away_is_asked_once_in_a_while() {
    for mood in [Mood::Refuses, Mood::CannotSay, Mood::Silent] {
        let (lately, peer, key) = (lately(), Peer::default(), key([&b"a"[..]]));
        let ask = async |mood| lately.ask("store", key, GRACE, peer.says(mood), late).await;
        assert_eq!(ask(Mood::Answers(1)).await, Ok(Said::Again(1, 4)));
        assert_eq!(peer.asked(), 1);
        let begun = Instant::now();
        for _ in 0..5 {
            assert_eq!(ask(mood).await, Ok(Said::Again(1, 4)), "{mood:?}");
        }
        assert_eq!(peer.asked(), 1, "{mood:?}");
        assert!(begun.elapsed() <= PATIENCE + Duration::from_secs(1));
        tokio::time::advance(LEFT_ALONE).await;
        assert_eq!(ask(mood).await, Ok(Said::Again(1, 4)), "{mood:?}");
        assert_eq!(peer.asked(), 1, "{mood:?}");
        tokio::time::advance(LEFT_ALONE).await;
        assert_eq!(ask(Mood::Answers(2)).await, Ok(Said::Again(2, 4)));
        assert_eq!(ask(Mood::Answers(3)).await, Ok(Said::Again(3, 4)));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_gone_by_for_long() {
    let (lately, peer, key) = (lately(), Peer::default(), key([&b"a"[..]]));
    let ask = async |mood| lately.ask("store", key, GRACE, peer.says(mood), late).await;
    let answer = ask(Mood::Answers(1)).await;
    assert_eq!(answer, Ok(Said::Again(1, 4)));
    tokio::time::advance(GRACE).await;
    assert_eq!(ask(Mood::Refuses).await, Ok(Said::Again(1, 4)));
    // Having been gone by makes it no younger.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ask(Mood::Refuses).await, Err("refused"));
    assert_eq!(ask(Mood::CannotSay).await, Ok(Said::Nothing("503")));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_asked_and_what_others_say_is_asked() {
    let (lately, peer) = (lately(), Peer::default());
    let ask = async |of, name: &[u8], mood| {
        let key = key([of, name].map(AsRef::<[u8]>::as_ref));
        lately.ask("store", key, GRACE, peer.says(mood), late).await
    };
    assert_eq!(ask(&b"x"[..], b"a", Mood::Refuses).await, Err("refused"));
    assert_eq!(
        ask(b"x", b"a", Mood::Answers(1)).await,
        Ok(Said::Again(1, 4))
    );
    assert_eq!(ask(b"x", b"a", Mood::Refuses).await, Ok(Said::Again(1, 4)));
    // Where one part ends and the next begins makes a difference.
    assert_eq!(ask(b"xa", b"", Mood::Refuses).await, Err("refused"));
    assert_eq!(ask(b"y", b"a", Mood::Refuses).await, Err("refused"));
    let other = lately.ask(
        "another store",
        key([&b"x"[..], &b"a"[..]]),
        GRACE,
        peer.says(Mood::Answers(7)),
        late,
    );
    assert_eq!(other.await, Ok(Said::Again(7, 4)));
}

#[tokio::test(start_paused = true)]
async fn what_is_for_one_alone_is_an_answer_and_not_remembered() {
    let (lately, key) = (lately(), key([&b"a"[..]]));
    let once = async || Ok::<Said<u32, &str>, &str>(Said::Once("long"));
    let answer = lately.ask("store", key, GRACE, once(), late).await;
    assert_eq!(answer, Ok(Said::Once("long")));
    let peer = Peer::default();
    let refused = lately.ask("store", key, GRACE, peer.says(Mood::Refuses), late);
    assert_eq!(refused.await, Err("refused"));
}

#[tokio::test(start_paused = true)]
async fn who_is_away_is_not_waited_for_long_with_what_is_new() {
    let (lately, peer) = (lately(), Peer::default());
    let ask = async |name: &[u8], mood| {
        let question = peer.says(mood);
        let answer = lately.ask("store", key([name]), GRACE, question, late);
        tokio::time::timeout(Duration::from_secs(60), answer).await
    };
    // Somebody slow is not away.
    assert!(ask(b"new", Mood::Silent).await.is_err());
    assert_eq!(ask(b"a", Mood::Answers(1)).await, Ok(Ok(Said::Again(1, 4))));
    assert_eq!(ask(b"a", Mood::Silent).await, Ok(Ok(Said::Again(1, 4))));
    let begun = Instant::now();
    assert_eq!(ask(b"new", Mood::Silent).await, Ok(Err("late")));
    assert!(begun.elapsed() <= PATIENCE + Duration::from_secs(1));
    // One that answers is back.
    let answer = ask(b"new", Mood::Answers(2)).await;
    assert_eq!(answer, Ok(Ok(Said::Again(2, 4))));
    assert!(!lately.is_away("store"));
}

#[test]
fn room_is_bounded() {
    let lately = Lately::<u32>::new(1 << 20);
    for index in 0..1000u32 {
        let answer = Ok::<_, ()>(Said::<u32, ()>::Again(index, 10_000));
        lately.learn("store", key([&index.to_le_bytes()[..]]), &answer);
    }
    assert!(lately.known.weight() <= 1 << 20);
    for index in 0..1000 {
        lately.leave_alone(&index.to_string());
    }
    assert!(lately.away().len() <= MOST_AWAY);
}
