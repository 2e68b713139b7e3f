/** Lists: a table on wide screens and cards on narrow ones, searched and paged by the API. */

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { note, place } from "../app/router";
import { project } from "../app/session";
import { labelled } from "../pages/pairs";
import { useLoad, type Loaded } from "./load";
import { Empty, FailureNote, Loading } from "./states";

export interface Page<T> {
  value: T[];
  /** Where the next page begins; null on the last. */
  next: number | null;
  /** Of all pages, where the API counts them. */
  total: number | null;
}

export interface Asked {
  $top: number;
  $skiptoken?: number;
  $filter?: string;
  $label?: string[];
  $label_key?: string[];
}

export const PAGE = 25;

/** A page as the API's lists with a `nextLink` give it. */
export function asPage<T>(answer: {
  value: T[];
  "@odata.nextLink"?: string;
  supplemental: { pagination: { end: number; total: number } };
}): Page<T> {
  const { end, total } = answer.supplemental.pagination;
  return { value: answer.value, next: answer["@odata.nextLink"] === undefined ? null : end, total };
}

/** A list that comes whole; searched here. */
export function whole<T>(items: T[]): Page<T> {
  return { value: items, next: null, total: items.length };
}

/** A string in an OData expression. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export interface Column<T> {
  head: string;
  cell: (item: T) => ComponentChildren;
  /** Numbers, to the right. */
  end?: boolean;
  /** Paths and addresses: may be broken anywhere. */
  long?: boolean;
}

export interface ListProps<T> {
  /** Names the table. */
  label: string;
  load: (asked: Asked) => Promise<Page<T>>;
  columns: Column<T>[];
  id: (item: T) => string;
  empty: ComponentChildren;
  /** The OData expression for what is searched; left out for lists that cannot be searched by the API. */
  search?: (words: string) => string;
  /** Things have labels, which are searched as `team=news`; `team=` is all that have one of that name. */
  labels?: boolean;
  /** For those that come whole: whether an item is among what is searched. */
  matches?: (item: T, words: string) => boolean;
  /** Choices above the list: the OData expression of each; the first is "all", `""`. */
  filters?: { label: string; options: [expression: string, label: string][] };
  everyMs?: (items: T[]) => number | null;
  /** Grows when the list has to be read again. */
  turn?: number;
  after?: (list: Loaded<Page<T>>) => ComponentChildren;
}

export function List<T>(props: ListProps<T>) {
  const [typed, setTyped] = useState(place.peek().query.get("q") ?? "");
  const [words, setWords] = useState(typed);
  const [kind, setKind] = useState(place.peek().query.get("show") ?? "");
  const [starts, setStarts] = useState<number[]>([]);
  const [own] = useState(place.peek().path.join("/"));
  const here = place.value;
  const seen = useRef(here);
  const searchable = props.search !== undefined || props.matches !== undefined;

  useEffect(() => {
    const timer = window.setTimeout(() => {
      if (words === typed) return;
      setWords(typed);
      setStarts([]);
    }, 250);
    return () => window.clearTimeout(timer);
  }, [typed]);
  // Before anybody can follow a link: told later, it would take that link's address for its own.
  useLayoutEffect(() => {
    if (searchable || props.filters !== undefined) note({ q: words, show: kind });
  }, [words, kind]);
  useEffect(() => setStarts([]), [project.value]);
  useEffect(() => {
    // A link to this list, or the browser's way back to it: what it is to show stands in the address.
    if (here === seen.current || here.path.join("/") !== own) return;
    seen.current = here;
    const next = { q: here.query.get("q") ?? "", show: here.query.get("show") ?? "" };
    if (next.q !== words || next.show !== kind) setStarts([]);
    setTyped(next.q);
    setWords(next.q);
    setKind(next.show);
  }, [here]);

  const start = starts.at(-1);
  const label = props.labels === true ? labelled(words) : null;
  const expression = [words !== "" && label === null && props.search !== undefined ? props.search(words) : "", kind].filter(Boolean);
  const list = useLoad(
    () =>
      props.load({
        $top: PAGE,
        ...(start === undefined ? {} : { $skiptoken: start }),
        ...label,
        ...(expression.length === 0 ? {} : { $filter: expression.map((one) => `(${one})`).join(" and ") }),
      }),
    [words, kind, start],
    (page) => props.everyMs?.(page.value) ?? null,
    props.turn,
  );
  const items = (list.value?.value ?? []).filter((item) => words === "" || (props.matches?.(item, words) ?? true));

  return (
    <div class="list">
      {(searchable || props.filters !== undefined) && (
        <div class="tools" role="search">
          {searchable && (
            <input
              type="search"
              placeholder={props.labels === true ? "Name, or team=news" : "Search by name"}
              aria-label={`Search ${props.label.toLowerCase()}`}
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          )}
          {props.filters !== undefined && (
            <select
              aria-label={props.filters.label}
              value={kind}
              onChange={(event) => {
                setKind(event.currentTarget.value);
                setStarts([]);
              }}
            >
              {props.filters.options.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </div>
      )}
      {list.failure !== null && <FailureNote failure={list.failure} retry={list.reload} />}
      {list.value === null ? (
        list.failure === null && <Loading slow={list.slow} />
      ) : items.length === 0 ? (
        words !== "" || kind !== "" ? (
          <Empty title="Nothing matches">
            <p>Search is by a part of the name, capital letters and all.</p>
            <button
              type="button"
              class="small plain"
              onClick={() => {
                setTyped("");
                setWords("");
                setKind("");
              }}
            >
              Show all
            </button>
          </Empty>
        ) : (
          props.empty
        )
      ) : (
        <Table label={props.label} columns={props.columns} items={items} id={props.id} />
      )}
      {list.value !== null && (starts.length > 0 || list.value.next !== null) && (
        <nav class="pages" aria-label="Pages">
          <button type="button" class="small plain" disabled={starts.length === 0} onClick={() => setStarts(starts.slice(0, -1))}>
            Previous
          </button>
          <span class="meta">
            {(start ?? 0) + 1} to {(start ?? 0) + list.value.value.length}
            {list.value.total !== null && ` of ${list.value.total}`}
          </span>
          <button
            type="button"
            class="small plain"
            disabled={list.value.next === null}
            onClick={() => list.value?.next != null && setStarts([...starts, list.value.next])}
          >
            Next
          </button>
        </nav>
      )}
      {props.after?.(list)}
    </div>
  );
}

/**
 * Keeps the keyboard's place: where what has the focus goes, as a row does that is deleted, its table has it, and the page's
 * heading when the table goes too. Otherwise the next Tab would begin at the top.
 */
function useKeptFocus() {
  const table = useRef<HTMLTableElement>(null);
  const last = useRef<Element | null>(null);
  useEffect(() => {
    const element = table.current;
    const note = (event: FocusEvent) => (last.current = event.target as Element);
    const leave = (event: FocusEvent) => {
      const left = event.target as Element;
      // Whoever goes elsewhere has gone; what was removed has not.
      window.setTimeout(() => left.isConnected && last.current === left && document.activeElement !== left && (last.current = null));
    };
    element?.addEventListener("focusin", note);
    element?.addEventListener("focusout", leave);
    return () => {
      element?.removeEventListener("focusin", note);
      element?.removeEventListener("focusout", leave);
      if (last.current !== null) window.setTimeout(() => lost() && document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true }));
    };
  }, []);
  useEffect(() => {
    if (last.current !== null && !last.current.isConnected && lost()) table.current?.focus({ preventScroll: true });
  });
  return table;
}

function lost(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

export function Table<T>({ label, columns, items, id }: { label: string; columns: Column<T>[]; items: T[]; id: (item: T) => string }) {
  const table = useKeptFocus();
  return (
    <table ref={table} tabIndex={-1} aria-label={label}>
      <thead>
        <tr>
          {columns.map(({ head, end }) => (
            <th key={head} scope="col" class={end === true ? "end" : undefined}>
              {head === "Actions" ? <span class="visually-hidden">{head}</span> : head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={id(item)} data-id={id(item)}>
            {columns.map(({ head, cell, end, long }) => (
              <td key={head} data-head={head} class={[end === true ? "end" : "", long === true ? "long" : "", head === "Actions" ? "acts" : ""].join(" ").trim() || undefined}>
                {cell(item)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
