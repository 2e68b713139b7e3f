/** The player: picture, choice of player, tracks, qualities, buffer, token, and what was requested. */

import { useEffect, useRef, useState } from "preact/hooks";
import { bytes } from "../format";
import { Select, Text } from "../ui/form";
import { Empty } from "../ui/states";
import { isToCome, untilBegun } from "./begin";
import { PLAYERS, play, type Look, type Playback, type PlayerName, type Protocol } from "./players";
import { watchRequests, type Asked } from "./requests";

const KEY = "headwater.player";

export interface Stream {
  url: string;
  protocol: Protocol;
  label: string;
  licences: Record<string, string>;
  /** Whether keys have to be fetched. */
  encrypted: boolean;
}

interface ScreenProps {
  streams: Stream[];
  poster?: string | undefined;
  label: string;
  /** Is told when playback ends with an error. What is still to begin is waited for here, and is none. */
  stopped?: () => void;
  /** Is given a way to ask when what is shown was recorded: see `Playback.clock`. */
  clock?: { current: () => number | null };
}

export function Screen({ streams, poster, label, stopped, clock }: ScreenProps) {
  const video = useRef<HTMLVideoElement>(null);
  const playback = useRef<Playback | null>(null);
  // One player at a time: each start waits for the stop before it.
  const before = useRef<Promise<void>>(Promise.resolve());
  const [streamAt, setStreamAt] = useState(0);
  const stream = streams[streamAt] ?? streams[0];
  const able = PLAYERS.filter(({ protocols }) => streams.some(({ protocol }) => protocols.includes(protocol)));
  const fitting = able.filter(({ protocols }) => stream !== undefined && protocols.includes(stream.protocol));
  const [wanted, setWanted] = useState<PlayerName>(() => (sessionStorage.getItem(KEY) as PlayerName | null) ?? "hls.js");
  const player = (fitting.find(({ name }) => name === wanted) ?? fitting[0])?.name;
  const [token, setToken] = useState("");
  const [usedToken, setUsedToken] = useState("");
  const [turn, setTurn] = useState(0);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [waiting, setWaiting] = useState(false);
  const [look, setLook] = useState<Look | null>(null);
  const [buffer, setBuffer] = useState({ ahead: 0, dropped: 0, shown: 0 });
  const [asked, setAsked] = useState<Asked[]>([]);

  useEffect(() => {
    if (clock !== undefined) clock.current = () => playback.current?.clock() ?? null;
  }, [clock]);
  useEffect(() => {
    const screen = video.current;
    if (screen === null || stream === undefined || player === undefined) return;
    let left = false;
    const resumeAt = screen.currentTime;
    const playing = turn === 0 || !screen.paused || screen.dataset.state === "error" || screen.dataset.state === "waiting";
    screen.dataset.state = "loading";
    screen.dataset.player = player;
    setTrouble(null);
    setWaiting(false);
    setLook(null);
    // A player that failed may say so more than once.
    let over = false;
    const complain = async (sentence: string) => {
      if (left || over) return;
      over = true;
      const toCome = await isToCome(stream.url);
      if (left) return;
      screen.dataset.state = toCome ? "waiting" : "error";
      setWaiting(toCome);
      if (!toCome) {
        setTrouble(sentence);
        stopped?.();
        return;
      }
      await untilBegun(stream.url, () => left);
      if (!left) setTurn((before) => before + 1);
    };
    const unwatch = watchRequests(
      [stream.url, ...Object.values(stream.licences)].map((url) => new URL(url, location.href).origin),
      setAsked,
    );
    const started = (async () => {
      await before.current;
      if (left) return null;
      try {
        const source = { ...stream, token: usedToken === "" ? null : usedToken };
        const mine = await play(player, screen, source, (sentence) => void complain(sentence));
        if (left) {
          await mine.stop();
          return null;
        }
        playback.current = mine;
        if (resumeAt > 0) screen.currentTime = resumeAt;
        // Browsers refuse sound before a first gesture; the controls are there for that case.
        if (playing) screen.play().catch(() => undefined);
        return mine;
      } catch (error) {
        void complain(error instanceof Error ? error.message : String(error));
        return null;
      }
    })();
    const timer = window.setInterval(() => {
      const current = playback.current;
      if (current !== null) setLook(current.look());
      const { buffered, currentTime } = screen;
      let ahead = 0;
      for (let at = 0; at < buffered.length; at++) {
        if (buffered.start(at) <= currentTime + 0.1 && buffered.end(at) > currentTime) ahead = buffered.end(at) - currentTime;
      }
      const quality = screen.getVideoPlaybackQuality();
      setBuffer({ ahead, dropped: quality.droppedVideoFrames, shown: quality.totalVideoFrames });
    }, 500);
    return () => {
      left = true;
      unwatch();
      window.clearInterval(timer);
      playback.current = null;
      before.current = started.then((mine) => mine?.stop());
    };
  }, [stream?.url, player, usedToken, turn]);

  if (stream === undefined) return null;
  const choose = (kind: "quality" | "sound" | "text") => (id: string) => {
    playback.current?.[kind](id);
    if (playback.current !== null) setLook(playback.current.look());
  };
  return (
    <div class="watch">
      <div class="screen">
        <video
          ref={video}
          controls
          playsInline
          preload="auto"
          poster={poster}
          aria-label={label}
          onPlaying={(event) => {
            event.currentTarget.dataset.state = "playing";
            setTrouble(null);
          }}
          onEnded={(event) => (event.currentTarget.dataset.state = "ended")}
        />
      </div>
      {waiting && (
        <div role="status">
          <Empty title="Waiting for the event to begin">
            <p>Nothing of it is there yet. It plays here by itself when it comes.</p>
          </Empty>
        </div>
      )}
      {trouble !== null && (
        <div class="failure trouble" role="alert">
          <strong>Playback stopped</strong>
          <p>{trouble}</p>
          {stream.encrypted && usedToken === "" && <p>This stream is encrypted: its key policy may want a token, below.</p>}
          <button type="button" class="small" onClick={() => setTurn(turn + 1)}>
            Try again
          </button>
        </div>
      )}
      <fieldset class="players">
        <legend>Player</legend>
        {able.map(({ name, label, protocols }) => (
          <label key={name}>
            <input
              type="radio"
              name="player"
              value={name}
              checked={name === player}
              onChange={() => {
                sessionStorage.setItem(KEY, name);
                setWanted(name);
                // A player that does not take this stream gets the first that it does.
                if (!protocols.includes(stream.protocol)) {
                  setStreamAt(streams.findIndex(({ protocol }) => protocols.includes(protocol)));
                }
              }}
            />
            <span>{label}</span>
            <small>{protocols.join(", ")}</small>
          </label>
        ))}
      </fieldset>
      <div class="form columns">
        {streams.length > 1 && (
          <Select
            label="Stream"
            value={String(streams.indexOf(stream))}
            change={(value) => setStreamAt(Number(value))}
            options={streams.map((one, index) => [String(index), one.label])}
          />
        )}
        {look !== null && look.qualities.options.length > 0 && (
          <Select
            label="Quality"
            value={look.qualities.chosen}
            change={choose("quality")}
            options={[["auto", "Automatic"], ...look.qualities.options.map(({ id, label }): [string, string] => [id, label])]}
          />
        )}
        {look !== null && look.sounds.options.length > 1 && (
          <Select label="Sound" value={look.sounds.chosen} change={choose("sound")} options={look.sounds.options.map(({ id, label }): [string, string] => [id, label])} />
        )}
        {look !== null && look.texts.options.length > 0 && (
          <Select
            label="Captions"
            value={look.texts.chosen}
            change={choose("text")}
            options={[["off", "Off"], ...look.texts.options.map(({ id, label }): [string, string] => [id, label])]}
          />
        )}
      </div>
      {stream.encrypted && (
        <form
          class="form"
          onSubmit={(event) => {
            event.preventDefault();
            setUsedToken(token.trim());
            setTurn(turn + 1);
          }}
        >
          <Text
            label="Key token (JWT)"
            hint="Sent with requests for keys and licences only. It stays on this page."
            value={token}
            change={setToken}
          />
          <div class="actions">
            <button type="submit" class="small">
              Play with this token
            </button>
          </div>
        </form>
      )}
      <dl class="meters">
        <div>
          <dt>Showing</dt>
          <dd>{look?.showing || "nothing yet"}</dd>
        </div>
        <div>
          <dt>Buffer</dt>
          <dd>
            <meter min={0} max={30} value={buffer.ahead} aria-label="Seconds of buffer" /> {buffer.ahead.toFixed(1)} s
          </dd>
        </div>
        <div>
          <dt>Frames</dt>
          <dd>
            {buffer.shown} shown, {buffer.dropped} dropped
          </dd>
        </div>
        {look?.latencySeconds != null && (
          <div>
            <dt>Latency</dt>
            <dd>{look.latencySeconds.toFixed(1)} s</dd>
          </div>
        )}
      </dl>
      <Timeline asked={asked} />
    </div>
  );
}

function Timeline({ asked }: { asked: Asked[] }) {
  const end = Math.max(1, ...asked.map(({ startMs, tookMs }) => startMs + tookMs));
  return (
    <details class="panel timeline">
      <summary>
        Requests <span class="meta">({asked.length})</span>
      </summary>
      {asked.length === 0 ? (
        <p>Nothing has been requested yet.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Requests of the player, newest first">
          <table>
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col">When</th>
                <th scope="col" class="end">First byte</th>
                <th scope="col" class="end">Took</th>
                <th scope="col" class="end">Size</th>
              </tr>
            </thead>
            <tbody>
              {asked.slice(0, 100).map((one) => (
                <tr key={`${one.startMs}${one.url}`}>
                  <td data-head="What" title={one.url}>
                    {one.name}
                    {one.status >= 400 && <span class="wrong"> {one.status}</span>}
                  </td>
                  <td data-head="When">
                    <svg class="bar-of-time" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
                      <rect x={(one.startMs / end) * 100} y="0" width={Math.max(0.6, (one.tookMs / end) * 100)} height="4" />
                    </svg>
                    <span class="meta">{(one.startMs / 1000).toFixed(2)} s</span>
                  </td>
                  <td data-head="First byte" class="end">{one.waitedMs === null ? "" : `${Math.round(one.waitedMs)} ms`}</td>
                  <td data-head="Took" class="end">{Math.round(one.tookMs)} ms</td>
                  <td data-head="Size" class="end">{one.bytes === 0 ? "" : bytes(one.bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
