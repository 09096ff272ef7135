import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type Change, DaemonError, NoDaemonError, type WatchOptions } from "../../client/index.ts";
import { MPTCP_EVENT, type MptcpEvent, SubflowError } from "../../types/index.ts";
import { Sources } from "./sources.ts";
import { Twice } from "./twice.ts";

const event = (token: number, type: number = MPTCP_EVENT.CREATED, more: Partial<MptcpEvent> = {}): MptcpEvent =>
  ({ type, token, ...more }) as MptcpEvent;
const told = (of: MptcpEvent, at = 0): Change => ({ type: "kernel", told: { kind: "kernel", at, event: of } });
const decided = (text: string, at = 0): Change => ({
  type: "decision",
  decision: { kind: "decision", at, type: "x", token: 1, text, because: "" },
});
const GONE: Change = { type: "disconnected", error: new NoDaemonError("/run/x", { code: "ECONNREFUSED" } as never) };
const connected = (isLimited = false): Change => ({ type: "connected", isLimited });
const complete = (at = 0): Change => ({ type: "complete", at });
const DENIED = new SubflowError("it needs CAP_NET_ADMIN", { code: "NETLINK" });

/** A daemon and a kernel that say what the test says, and what is heard of it. */
class World {
  readonly heard: string[] = [];
  readonly sources: string[] = [];
  readonly lost: (number | undefined)[] = [];
  readonly asked: WatchOptions[] = [];
  readonly stop = new AbortController();
  mayListen = true;
  now = 1_000_000;
  /** Of the listener that is open. */
  kernel: ((event: MptcpEvent) => void) | undefined;
  ended: Promise<void>;
  #tell: ((change: Change | Error) => void) | undefined;

  constructor({ events = true, decisions = true }: { events?: boolean; decisions?: boolean } = {}) {
    const { stop } = this;
    stop.signal.addEventListener("abort", () => this.#tell?.(new Error("over")));
    this.ended = new Sources({
      events,
      decisions,
      follow: (options) => this.#follow(options),
      listen: (onEvent) => {
        if (!this.mayListen) throw DENIED;
        assert.equal(this.isListening, false, "one listener");
        this.kernel = onEvent;
        return {
          close: () => {
            this.kernel = undefined;
          },
        };
      },
      now: () => this.now,
      onEvent: (of, time) => this.heard.push(`${of.token} at ${time}`),
      onDecision: ({ text }, time) => this.heard.push(`${text} at ${time}`),
      onLost: (count) => this.lost.push(count),
      onSource: (text, isFirst) => this.sources.push(isFirst ? `first: ${text}` : text),
    }).run(stop.signal);
    this.ended.catch(() => undefined);
  }

  async *#follow(options: WatchOptions): AsyncGenerator<Change, void, undefined> {
    this.asked.push(options);
    while (!options.signal?.aborted) {
      const next = await new Promise<Change | Error>((resolve) => {
        this.#tell = resolve;
      });
      if (options.signal?.aborted) return;
      if (next instanceof Error) throw next;
      yield next;
    }
  }

  async daemon(...changes: readonly (Change | Error)[]): Promise<void> {
    for (const change of changes) {
      await turn();
      this.#tell?.(change);
      await turn();
    }
  }

  get isListening(): boolean {
    return this.kernel !== undefined;
  }

  /** Lets time pass. */
  async pass(milliseconds: number): Promise<void> {
    mock.timers.tick(milliseconds);
    await turn();
  }
}

function scene(name: string, play: () => Promise<void>): void {
  test(`monitor: ${name}`, async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      await play();
    } finally {
      mock.timers.reset();
    }
  });
}

scene("a daemon that shows everything is heard, and nobody listens beside it; by its clock", async () => {
  const world = new World();
  await world.daemon(connected(), complete(500), told(event(1), 600), decided("d", 610));
  world.now += 300;
  await world.daemon(complete(700), told(event(2), 790));
  assert.deepEqual(world.heard, ["1 at 1000100", "d at 1000110", "2 at 1000290"], "a late answer is no later clock");
  assert.deepEqual([world.isListening, world.sources, world.asked[0]?.kinds], [false, [], ["kernel", "decision"]]);
  // The machine slept.
  world.now += 60_000;
  await world.daemon(complete(800), told(event(3), 810), { type: "lost", count: 7 });
  assert.deepEqual([world.heard.at(-1), world.lost], ["3 at 1060310", [7]]);
});

scene("without a daemon the kernel is heard; when one comes, it is, and each event once", async () => {
  const world = new World();
  await world.daemon(GONE);
  world.kernel?.(event(1));
  assert.match(world.sources[0] ?? "", /^first: .*heard from the kernel/);
  assert.doesNotMatch(world.sources[0] ?? "", /missing/);
  await world.daemon(connected(), complete());
  world.kernel?.(event(2));
  await world.daemon(told(event(2)), told(event(3)));
  world.kernel?.(event(3));
  world.kernel?.(event(4));
  await world.pass(1000);
  assert.equal(world.isListening, false);
  await world.daemon(told(event(4)), told(event(5)), told(event(5)));
  assert.deepEqual(
    world.heard.map((line) => line[0]),
    ["1", "2", "3", "4", "5", "5"],
  );
  await world.pass(1000);
  await world.daemon(told(event(4)));
  assert.equal(world.heard.length, 7, "much later it is another one");
  assert.match(world.sources[1] ?? "", /a Subflow daemon answers/);
});

scene(
  "a daemon that ends: the kernel, and what may be missing is said; one that is back at once changes nothing",
  async () => {
    const world = new World();
    await world.daemon(connected(), complete(), GONE);
    assert.match(world.sources[0] ?? "", /no Subflow daemon answers.*heard from the kernel.*may be missing/);
    await world.daemon(connected(), complete(), GONE);
    await world.pass(5000);
    assert.equal(world.isListening, true, "it went before it was believed");
    assert.equal(world.sources.length, 1);
  },
);

scene("a daemon that hangs: the kernel meanwhile, and what it tells when it goes on is told once", async () => {
  const world = new World();
  await world.daemon(connected(), complete());
  await world.pass(7900);
  assert.equal(world.isListening, false);
  await world.pass(200);
  assert.match(world.sources[0] ?? "", /does not answer.*may be missing/);
  world.kernel?.(event(2));
  // It goes on: what came in its sleep, and then what the kernel told here.
  await world.daemon(told(event(1)), told(event(2)), { type: "lost", count: 3 }, complete());
  await world.pass(1000);
  assert.deepEqual(
    world.heard.map((line) => line[0]),
    ["2", "1"],
  );
  assert.deepEqual([world.isListening, world.lost], [false, []]);
  await world.pass(8100);
  assert.equal(world.isListening, true, "it is silent again");
});

scene("a daemon that hangs from the start is not waited for", async () => {
  const world = new World();
  await world.pass(2100);
  assert.match(world.sources[0] ?? "", /^first: the Subflow daemon does not answer/);
  assert.equal(world.isListening, true);
});

scene("a daemon that shows only what is one's own: the kernel's events, its decisions", async () => {
  const world = new World();
  await world.daemon(connected(true), complete(), told(event(1)), decided("d"));
  world.kernel?.(event(1));
  await world.pass(9000);
  assert.deepEqual(
    world.heard.map((line) => line[0]),
    ["d", "1"],
  );
  assert.match(world.sources[0] ?? "", /only what is your own.*kernel/);
  // Another one, that shows everything.
  await world.daemon(GONE, connected(), complete());
  await world.pass(1000);
  assert.equal(world.isListening, false);
});

scene("and where the kernel may not be listened to, what it shows", async () => {
  const world = new World();
  world.mayListen = false;
  await world.daemon(connected(true), complete(), told(event(1)));
  assert.deepEqual(world.heard, ["1 at 1000000"]);
  assert.match(world.sources[0] ?? "", /^first: the daemon shows what is your own/);
  await world.daemon(GONE, GONE);
  assert.match(world.sources[1] ?? "", /CAP_NET_ADMIN: nothing is heard until/);
  await world.daemon(connected(), complete(), told(event(2)));
  assert.match(world.sources[2] ?? "", /a Subflow daemon answers/);
  assert.deepEqual([world.sources.length, world.heard.length], [3, 2]);
});

scene("nobody at all is an error", async () => {
  const world = new World();
  world.mayListen = false;
  await world.daemon(GONE);
  await assert.rejects(world.ended, DENIED);
});

scene("a daemon of another version: the kernel, and the decisions that it has", async () => {
  const world = new World();
  const refused = new DaemonError({ code: "REQUEST", message: "kinds: no such kind" });
  await world.daemon(refused, connected(), complete(), decided("d"));
  world.kernel?.(event(1));
  await world.pass(9000);
  assert.deepEqual(
    world.heard.map((line) => line[0]),
    ["d", "1"],
  );
  assert.deepEqual(
    world.asked.map(({ kinds }) => kinds),
    [["kernel", "decision"], ["decision"]],
  );
  assert.match(world.sources[0] ?? "", /^first: kinds: no such kind/);
});

scene("decisions alone need no kernel, and ^C ends everything", async () => {
  const world = new World({ events: false });
  await world.pass(9000);
  await world.daemon(GONE, connected(), complete(), decided("d"));
  assert.deepEqual([world.isListening, world.sources, world.heard.length], [false, [], 1]);
  world.stop.abort();
  await world.ended;
  const other = new World();
  await other.daemon(GONE);
  assert.equal(other.isListening, true);
  other.stop.abort();
  await other.ended;
  assert.equal(other.isListening, false);
});

test("what two tell of: the n-th is the n-th, and what is long ago is forgotten", () => {
  const twice = new Twice();
  const [backup, normal] = [0, 1].map((value) => event(1, MPTCP_EVENT.SUB_PRIORITY, { backup: value }));
  const order = ["kernel", "kernel", "daemon", "daemon", "daemon", "kernel"] as const;
  assert.deepEqual(
    order.map((teller) => twice.isNew(teller, backup!, 0)),
    [true, true, false, false, true, false],
  );
  assert.ok(twice.isNew("daemon", normal!, 5), "another one");
  assert.ok(!twice.isNew("kernel", normal!, 5));
  assert.ok(twice.isNew("kernel", normal!, 5));
  twice.forget(5);
  assert.ok(!twice.isNew("daemon", normal!, 6));
  twice.forget(7);
  assert.ok(twice.isNew("daemon", normal!, 7));
  for (let token = 0; token < 20_001; token++) twice.isNew("kernel", event(token), 8);
  assert.ok(twice.isNew("daemon", event(0), 8), "bounded");
  assert.ok(!twice.isNew("daemon", event(20_000), 8));
});
