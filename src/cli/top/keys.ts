import type { Token, WatchedConnection } from "../../types/index.ts";
import { type Deed, FILTERS, SORTS, type View } from "./state.ts";

/** A key as node:readline names it. */
export interface Key {
  readonly name?: string | undefined;
  /** What was typed, for keys that are characters. */
  readonly text?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

/** What the keys are about. */
export interface Around {
  /** Shown, in their order. */
  readonly list: readonly WatchedConnection[];
  /** Lines of a page. */
  readonly page: number;
  readonly mayControl: boolean;
}

/** What a key leads to. */
export interface Outcome {
  readonly view: View;
  readonly isEnd?: boolean;
  readonly deed?: Deed;
}

const SEARCH_MAX = 60;

/** The view after a key. */
export function pressed(view: View, key: Key, around: Around): Outcome {
  if (key.ctrl && (key.name === "c" || key.name === "d")) return { view, isEnd: true };
  if (view.isTyping) return { view: typed(view, key) };
  if (view.asks) {
    const said = key.text === "y" ? "" : "not done";
    return { view: { ...view, asks: undefined, said }, ...(key.text === "y" && { deed: view.asks }) };
  }
  if (view.showsHelp) return { view: { ...view, showsHelp: false } };
  const quiet = { ...view, said: "" };
  if (key.text === "?" || key.text === "h" || key.name === "f1") return { view: { ...quiet, showsHelp: true } };
  return view.opened === undefined ? onList(quiet, key, around) : onPage(quiet, view.opened, key, around);
}

function typed(view: View, { name, text }: Key): View {
  if (name === "return" || name === "enter") return { ...view, isTyping: false };
  if (name === "escape") return { ...view, isTyping: false, search: "" };
  if (name === "backspace") return { ...view, search: view.search.slice(0, -1) };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is not wanted
  if (text === undefined || /[\u0000-\u001f\u007f]/.test(text)) return view;
  return { ...view, search: (view.search + text).slice(0, SEARCH_MAX) };
}

function onList(view: View, key: Key, { list, page }: Around): Outcome {
  const moved = moveOf(key, page);
  if (moved !== undefined) return { view: { ...view, selected: neighbour(list, view.selected, moved) } };
  switch (key.name === undefined ? key.text : key.name) {
    case "q":
      return { view, isEnd: true };
    case "escape":
      return { view: { ...view, search: "", filter: "all" } };
    case "return":
    case "enter":
    case "right": {
      const opened = view.selected ?? list[0]?.token;
      return { view: { ...view, opened, selected: opened, subflow: 0, scroll: 0 } };
    }
    case "s":
      return { view: { ...view, sort: next(SORTS, view.sort) } };
    case "f":
      return { view: { ...view, filter: next(FILTERS, view.filter) } };
    case "r":
      return { view: { ...view, isReversed: !view.isReversed } };
    case "t":
      return { view: { ...view, showsSubflows: !view.showsSubflows } };
    case "p":
    case "space":
      return { view: { ...view, isPaused: !view.isPaused } };
    case "/":
      return { view: { ...view, isTyping: true, search: "" } };
    default:
      return { view };
  }
}

function onPage(view: View, token: Token, key: Key, { list, page, mayControl }: Around): Outcome {
  const connection = list.find((each) => each.token === token);
  const count = connection?.subflows.length ?? 0;
  const subflow = Math.min(view.subflow, Math.max(0, count - 1));
  switch (key.name === undefined ? key.text : key.name) {
    case "q":
    case "escape":
    case "left":
      return { view: { ...view, opened: undefined } };
    case "up":
    case "k":
      return { view: { ...view, subflow: Math.max(0, subflow - 1) } };
    case "down":
    case "j":
      return { view: { ...view, subflow: Math.min(Math.max(0, count - 1), subflow + 1) } };
    case "pagedown":
      return { view: { ...view, scroll: view.scroll + page } };
    case "pageup":
      return { view: { ...view, scroll: Math.max(0, view.scroll - page) } };
    case "p":
    case "space":
      return { view: { ...view, isPaused: !view.isPaused } };
    case "b":
    case "x":
      return { view: asked(view, connection, subflow, key.name === "b", mayControl) };
    default:
      return { view };
  }
}

/** Deeds are asked about, and what would end the connection is refused. */
function asked(
  view: View,
  connection: WatchedConnection | undefined,
  index: number,
  isBackup: boolean,
  mayControl: boolean,
): View {
  const subflow = connection?.subflows[index];
  if (!connection || !subflow) return view;
  if (!mayControl) return { ...view, said: "this changes nothing: start it with --control for that" };
  if (connection.pathManager === "kernel") {
    return { ...view, said: "the in-kernel path manager has this connection: `subflow endpoint` steers it" };
  }
  const usable = connection.subflows.filter(({ state }) => state === "established");
  if (!isBackup && (usable.length < 2 || subflow.state !== "established") && usable.includes(subflow)) {
    return { ...view, said: "it is the last subflow: closing it would end the connection" };
  }
  const type = isBackup ? (subflow.backup ? "nobackup" : "backup") : "close";
  return { ...view, asks: { type, token: connection.token, subflow } };
}

function moveOf({ name, text }: Key, page: number): number | undefined {
  if (name === "up" || name === "k") return -1;
  if (name === "down" || name === "j") return 1;
  if (name === "pageup") return -page;
  if (name === "pagedown") return page;
  if (name === "home" || text === "g") return Number.NEGATIVE_INFINITY;
  if (name === "end" || text === "G") return Number.POSITIVE_INFINITY;
  return undefined;
}

function neighbour(list: readonly WatchedConnection[], selected: Token | undefined, by: number): Token | undefined {
  const at = list.findIndex(({ token }) => token === selected);
  const index = at >= 0 ? at + by : Number.isFinite(by) ? 0 : by;
  return list[Math.min(list.length - 1, Math.max(0, index))]?.token;
}

function next<T>(all: readonly T[], current: T): T {
  return all[(all.indexOf(current) + 1) % all.length]!;
}
