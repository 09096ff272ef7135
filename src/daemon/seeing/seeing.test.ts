import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Action } from "../../engine/index.ts";
import type { Readable } from "../../netlink/index.ts";
import type { Connection, ControlWatched, MptcpEvent, ToldHappening, WatchParameters } from "../../types/index.ts";
import { MPTCP_EVENT, SubflowError } from "../../types/index.ts";
import { Seeing } from "./seeing.ts";

const PATH = { local: { address: "10.0.0.1", port: 1000 }, remote: { address: "10.0.0.2", port: 443 } };

function connection(token: number, uid = 0): Connection {
  const path = { ...PATH, local: { ...PATH.local, port: 1000 + token } };
  const subflow = {
    path,
    state: "established",
    localId: 0,
    remoteId: 0,
    join: false,
    initiated: true,
    rtt: 1000,
    bytesSent: 0,
  };
  const rest = {
    backupLocal: false,
    backupRemote: false,
    interfaceIndex: 0,
    bytesReceived: 0,
    retransmits: 0,
    lost: 0,
    rttVar: 0,
  };
  const subflows = [{ ...subflow, ...rest }];
  return { token, path, uid, state: "established", side: "client", bytesSent: 0, bytesReceived: 0, subflows } as never;
}

function event(type: number, token: number, more: Partial<MptcpEvent> = {}): MptcpEvent {
  const ends = { localAddress: "10.0.0.1", localPort: 1000 + token, remoteAddress: "10.0.0.2", remotePort: 443 };
  return { type, token, ...ends, localId: 0, remoteId: 0, flags: 0, unknown: [], ...more } as never;
}

/** A namespace that is made up, and whoever looks at it. */
class World implements Disposable {
  readonly there = new Map<number, Connection>();
  readonly states: boolean[] = [];
  at = 1000;
  looks = 0;
  /** Nothing can be read. */
  isBlind = false;
  readonly seeing = new Seeing({
    now: () => this.at,
    managed: () => undefined,
    onWatched: (isWatched) => this.states.push(isWatched),
    openSockets: () => ({
      list: () => this.#seen([...this.there.values()]),
      look: (some) => this.#seen(this.#look(some)),
      [Symbol.dispose]: () => undefined,
    }),
  });

  constructor(tokens: readonly number[] = []) {
    for (const token of tokens) this.there.set(token, connection(token));
  }

  [Symbol.dispose](): void {
    this.seeing[Symbol.dispose]();
  }

  #seen<T>(what: T): T {
    if (this.isBlind) throw new SubflowError("no memory", { code: "NETLINK" });
    return what;
  }

  #look(some: readonly Readable[]) {
    this.looks += some.length;
    return some.flatMap(({ token }) => {
      const found = this.there.get(token);
      const subflows = (found?.subflows ?? []).map((each) => ({ ...each, unacked: 0, sinceAck: 0 }));
      return found ? [{ ...found, isEstablished: true, isKernels: true, fallback: false, subflows }] : [];
    });
  }

  reader(params: WatchParameters = {}, uid?: number): Reader {
    return new Reader(this, params, uid);
  }

  open(token: number, uid = 0): void {
    this.there.set(token, connection(token, uid));
    this.seeing.onEvents([event(MPTCP_EVENT.ESTABLISHED, token)]);
  }

  end(token: number): void {
    this.there.delete(token);
    this.seeing.onEvents([event(MPTCP_EVENT.CLOSED, token)]);
  }

  /** Lets everything be told that can be. */
  async settle(): Promise<void> {
    for (let round = 0; round < 8; round++) {
      await turn();
      this.at += 100;
      mock.timers.tick(100);
    }
  }
}

class Reader {
  readonly asker = { uid: 0, isTrusted: true, isThere: true };
  after: string | undefined;
  refused: string | undefined;
  readonly #world: World;
  readonly #params: WatchParameters;

  constructor(world: World, params: WatchParameters, uid: number | undefined) {
    this.#world = world;
    this.#params = params;
    if (uid !== undefined) Object.assign(this.asker, { uid, isTrusted: false });
  }

  /** Asks once. @returns the answer; undefined: there is none yet */
  async ask(): Promise<ControlWatched | undefined> {
    let answer: ControlWatched | undefined;
    const onAnswer = (result: unknown, failure?: { code: string }): void => {
      this.refused = failure?.code;
      answer = result as ControlWatched;
    };
    this.#world.seeing.watch({ ...this.#params, after: this.after } as never, onAnswer, this.asker);
    await this.#world.settle();
    this.after = answer?.next ?? this.after;
    return answer;
  }

  /** Asks until it knows everything. */
  async sync(): Promise<ControlWatched[]> {
    const answers: ControlWatched[] = [];
    for (let more = true; more; ) {
      const answer = await this.ask();
      if (answer) answers.push(answer);
      more = answer !== undefined && !answer.isComplete;
    }
    return answers;
  }
}

const tokensOf = (answers: readonly (ControlWatched | undefined)[]): number[] =>
  answers.flatMap((answer) => answer?.connections.map(({ token }) => token) ?? []);

const typeOf = (each: ToldHappening): string | number => (each.kind === "kernel" ? each.event.type : each.type);
const tokenOf = (each: ToldHappening): number | undefined => (each.kind === "kernel" ? each.event.token : each.token);

function withTimers(name: string, run: () => Promise<void>): void {
  test(name, async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      await run();
    } finally {
      mock.timers.reset();
    }
  });
}

withTimers("watch: state first, in pages, then what changes; nothing is kept before and after", async () => {
  using world = new World(Array.from({ length: 1000 }, (_, token) => token + 1));
  world.open(5000);
  assert.deepEqual([world.states, world.looks], [[], 0]);
  const reader = world.reader();
  const answers = await reader.sync();
  assert.ok(answers.length > 10, "no answer is large");
  assert.deepEqual(answers.map(({ reset }) => reset).indexOf(true, 1), -1, "only the first begins anew");
  assert.equal(new Set(tokensOf(answers)).size, 1001);
  assert.equal(tokensOf(answers).length, 1001, "each once");
  assert.equal(answers.flatMap(({ happenings }) => happenings).length, 0, "of what was before, nothing");
  world.open(5001);
  world.end(7);
  const then = await reader.ask();
  assert.deepEqual([tokensOf([then]), then?.gone, then?.reset], [[5001], [7], false]);
  assert.deepEqual(
    then?.happenings.map((each) => [typeOf(each), tokenOf(each)]),
    [
      ["connection.established", 5001],
      ["connection.closed", 7],
    ],
  );
  assert.equal(await reader.ask(), undefined, "nothing happens: it waits");
  await world.settle();
  mock.timers.tick(20_000);
  assert.deepEqual(world.states, [true, false]);
  const late = world.reader();
  late.after = reader.after;
  assert.equal((await late.ask())?.reset, true, "nothing was kept: it begins anew");
});

withTimers("watch: who is slow is told how much it missed, and has the state all the same", async () => {
  using world = new World([1]);
  const reader = world.reader();
  await reader.sync();
  for (let round = 0; round < 3000; round++)
    world.seeing.onEvents([event(MPTCP_EVENT.SUB_PRIORITY, 1, { backup: round % 2 })]);
  const answers = await reader.sync();
  assert.deepEqual(tokensOf(answers), [1], "one connection, as it is now, however often it changed");
  assert.equal(answers[0]?.connections[0]?.subflows[0]?.backupByPeer, true);
  const [lost, told] = [
    answers.reduce((sum, answer) => sum + answer.lost, 0),
    answers.reduce((sum, { happenings }) => sum + happenings.length, 0),
  ];
  assert.ok(lost >= 1000 && told >= 1000, `${lost} lost, ${told} told`);
  assert.equal(lost + told, 3000);
});

withTimers("watch: whoever asks so late that all was forgotten is told how much happened meanwhile", async () => {
  using world = new World([1]);
  const reader = world.reader({ kinds: ["kernel", "decision"] });
  await reader.sync();
  world.open(2);
  mock.timers.tick(20_000);
  assert.deepEqual(world.states, [true, false]);
  for (let token = 3; token < 10; token++) world.open(token);
  const answer = await reader.ask();
  assert.deepEqual([answer?.lost, answer?.happenings], [8, []]);
  world.open(10);
  assert.deepEqual((await reader.ask())?.happenings.map(tokenOf), [10]);
  world.seeing.onOverrun();
  world.end(10);
  const then = await reader.ask();
  assert.deepEqual(
    [then?.lost, then?.happenings.map(typeOf)],
    [1, [MPTCP_EVENT.CLOSED]],
    "the kernel dropped something",
  );
});

withTimers("watch: the kernel's attributes, of listeners too, are for those who ask for them by name", async () => {
  using world = new World([1]);
  world.there.set(2, connection(2, 1000));
  const [usual, raw] = [world.reader(), world.reader({ kinds: ["kernel"] })];
  const theirs = world.reader({ kinds: ["kernel"] }, 1000);
  for (const each of [usual, raw, theirs]) await each.sync();
  const closed = event(MPTCP_EVENT.SUB_CLOSED, 1, {
    error: 104,
    backup: 1,
    interfaceIndex: 3,
    resetReason: 6,
    resetFlags: 1,
  });
  const unknown = event(99, 2, { unknown: [[77, new Uint8Array(3)]] });
  const { at } = world;
  world.seeing.onEvents([closed, event(MPTCP_EVENT.LISTENER_CREATED, 0), unknown]);
  assert.deepEqual((await usual.ask())?.happenings.map(typeOf), ["subflow.closed"]);
  assert.deepEqual((await raw.ask())?.happenings, [
    { kind: "kernel", at, event: closed },
    { kind: "kernel", at, event: event(MPTCP_EVENT.LISTENER_CREATED, 0) },
    { kind: "kernel", at, event: { ...unknown, unknown: [] } },
  ]);
  assert.deepEqual((await theirs.ask())?.happenings.map(typeOf), [99], "of others' nothing, and no listeners");
  world.open(3, 1000);
  world.open(4);
  assert.deepEqual((await theirs.ask())?.happenings.map(tokenOf), [3], "whose it is was asked");
});

withTimers("watch: filters by kind and token; a decision comes behind the event that led to it", async () => {
  using world = new World([1, 2]);
  const [decisions, second] = [world.reader({ kinds: ["decision"] }), world.reader({ token: 2 })];
  const first = await decisions.ask();
  assert.deepEqual([first?.connections, first?.isComplete], [[], true]);
  assert.deepEqual(tokensOf(await second.sync()), [2]);
  const action = { id: 1, type: "address.announce", token: 2, localId: 1, address: "10.0.0.9", port: 0, backup: false };
  world.seeing.note({ type: "tick" }, [action as Action, { id: 2, type: "connection.inspect", token: 2 } as never]);
  world.open(3);
  const told = await decisions.ask();
  assert.deepEqual(
    told?.happenings.map((each) => [typeOf(each), each.kind === "decision" && each.because]),
    [["address.announce", "the time has come"]],
  );
  const seen = await second.ask();
  assert.deepEqual(seen?.happenings.map(typeOf), ["address.announce"]);
  const all = world.reader();
  await all.sync();
  world.seeing.note({ type: "connection.established" } as never, [{ ...action, token: 4 } as Action]);
  world.open(4);
  assert.deepEqual((await all.ask())?.happenings.map(typeOf), ["connection.established", "address.announce"]);
  // What was done before an event came, for another reason, is told before it.
  world.seeing.noteHost("limits.set", "limits");
  world.seeing.note({ type: "tick" }, [{ ...action, token: 4 } as Action]);
  world.seeing.note({ type: "connection.closed" } as never, [{ ...action, type: "address.remove", token: 4 } as never]);
  const { at } = world;
  world.at += 7;
  world.end(4);
  const last = (await all.ask())?.happenings ?? [];
  assert.deepEqual(last.map(typeOf), ["limits.set", "address.announce", "connection.closed", "address.remove"]);
  assert.deepEqual([...new Set(last.map((each) => each.at))], [at], "no event came later than what it led to");
});

withTimers(
  "watch: figures come at the pace that is asked for, only while somebody asks, and only to them",
  async () => {
    using world = new World([1, 2]);
    const [paced, calm] = [world.reader({ pace: 500 }), world.reader()];
    await paced.sync();
    await calm.sync();
    world.there.set(1, { ...connection(1), bytesSent: 50_000 });
    const answer = await paced.ask();
    assert.deepEqual(tokensOf([answer]), [1], "the other has not moved");
    const { bytesSent, sendRate } = answer!.connections[0]!;
    assert.equal(bytesSent, 50_000);
    assert.ok(sendRate > 10_000, `${sendRate}`);
    assert.equal(await calm.ask(), undefined);
    const before = world.looks;
    for (let round = 0; round < 100; round++) await world.settle();
    const during = world.looks - before;
    for (let round = 0; round < 100; round++) await world.settle();
    assert.ok(during < 100 && world.looks - before === during, "nobody asks any more: nothing is measured");
  },
);

withTimers("watch: others see what is theirs, and of the rest nothing at all", async () => {
  using world = new World([1]);
  world.there.set(2, connection(2, 1000));
  world.there.set(3, connection(3, 65_534));
  const [theirs, nobody] = [world.reader({}, 1000), world.reader({}, 65_534)];
  assert.deepEqual(tokensOf(await theirs.sync()), [2]);
  assert.deepEqual(tokensOf(await nobody.sync()), [], "users that look alike here may be different ones");
  world.open(4);
  world.open(5, 1000);
  world.seeing.note({ type: "tick" }, [{ type: "address.remove", token: 1, localId: 1 } as never]);
  const then = await theirs.ask();
  assert.deepEqual([tokensOf([then]), then?.happenings.map(tokenOf)], [[5], [5]]);
  world.end(4);
  assert.equal(await theirs.ask(), undefined);
  world.end(5);
  const last = await theirs.ask();
  assert.deepEqual([last?.gone, last?.happenings.map(typeOf)], [[5], ["connection.closed"]]);
  assert.deepEqual(
    [world.seeing.isOf(1000, 2), world.seeing.isOf(1000, 1), world.seeing.isOf(1000, 99)],
    [true, false, false],
  );
});

withTimers("watch: no more wait than there may be, and who is gone makes room", async () => {
  using world = new World([1]);
  const after = (await world.reader().sync())[0]?.next;
  const waiting = Array.from({ length: 128 }, () => Object.assign(world.reader(), { after }));
  for (const each of waiting) world.seeing.watch({ after }, () => undefined, each.asker);
  const late = Object.assign(world.reader(), { after });
  await late.ask();
  assert.equal(late.refused, "BUSY");
  const other = Object.assign(world.reader({}, 0), { after });
  await other.ask();
  assert.equal(other.refused, undefined, "others have places of their own");
  waiting[5]!.asker.isThere = false;
  const next = Object.assign(world.reader(), { after });
  await next.ask();
  assert.equal(next.refused, undefined);
});

withTimers("watch: where events were lost, everything is read anew, and what is gone is told", async () => {
  using world = new World([1, 2]);
  const reader = world.reader();
  await reader.sync();
  world.there.delete(1);
  world.there.set(9, connection(9));
  world.seeing.onOverrun();
  await world.settle();
  const answers = await reader.sync();
  assert.deepEqual(
    answers.flatMap(({ gone }) => gone),
    [1],
  );
  assert.ok(tokensOf(answers).includes(9));
});

withTimers(
  "watch: where the kernel does not answer, whoever looks sees less, and nobody else hears of it",
  async () => {
    using world = new World([1, 2]);
    world.isBlind = true;
    const reader = world.reader({ pace: 200 });
    assert.equal(await reader.ask(), null);
    assert.deepEqual([reader.refused, world.states], ["INTERNAL", []]);
    assert.equal(world.seeing.isOf(0, 1), false);
    world.isBlind = false;
    await reader.sync();
    world.isBlind = true;
    world.there.delete(1);
    world.seeing.onOverrun();
    world.open(3);
    const answers = await reader.sync();
    assert.deepEqual(tokensOf(answers).includes(3), true, "as far as events tell");
    world.isBlind = false;
    for (let round = 0; round < 4; round++) await world.settle();
    assert.deepEqual(
      (await reader.sync()).flatMap(({ gone }) => gone),
      [1],
      "made good when it works again",
    );
  },
);
