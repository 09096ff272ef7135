import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type Reader, Readers } from "./readers.ts";

/** Readers to each of whom it takes so long to tell something. */
class World implements Disposable {
  at = 0;
  news = 0;
  isPartial = false;
  readonly told: number[] = [];
  readonly readers: Readers;

  constructor(takes: number) {
    this.readers = new Readers({
      now: () => this.at,
      hasNews: ({ cursor }) => cursor.happening < this.news,
      tell: ({ cursor }) => {
        this.at += takes;
        const next = { ...cursor, happening: this.news };
        return { cursor: next, isEmpty: false, isPartial: this.isPartial, watched: () => ({}) as never };
      },
    });
  }

  [Symbol.dispose](): void {
    this.readers[Symbol.dispose]();
  }

  /** Waits, and after each answer asks again. */
  add(happening = 0): void {
    const reader: Reader = {
      cursor: { change: 0, happening, isReset: false },
      kinds: new Set(["event"]),
      token: undefined,
      isPaced: false,
      asker: { uid: 0, isTrusted: true, isThere: true },
      answer: () => {
        this.told.push(this.at);
        this.add(this.news);
      },
    };
    this.readers.add(reader);
  }

  happen(isPressing = false): void {
    this.news++;
    this.readers.wake(isPressing);
  }

  async pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed++) {
      this.at++;
      mock.timers.tick(1);
      await turn();
    }
  }
}

function scene(name: string, takes: number, play: (world: World) => Promise<void>): void {
  test(`readers: ${name}`, async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    using world = new World(takes);
    await play(world).finally(() => mock.timers.reset());
  });
}

scene(
  "what happens after a rest is told at once, and then not for a hundred times as long as that took",
  1,
  async (world) => {
    world.add();
    await world.pass(10);
    world.happen();
    await turn();
    assert.equal(world.told.length, 1);
    world.happen();
    await world.pass(95);
    assert.equal(world.told.length, 1);
    await world.pass(10);
    assert.equal(world.told.length, 2);
  },
);

scene("an event waits for one answer at most, however many readers there are", 1, async (world) => {
  for (let nth = 0; nth < 3; nth++) world.add();
  world.happen();
  await turn();
  assert.equal(world.told.length, 1);
  await world.pass(30);
  assert.equal(world.told.length, 3, "the others soon after");
  world.happen();
  await world.pass(240);
  assert.equal(world.told.length, 3);
  await world.pass(80);
  assert.equal(world.told.length, 6);
});

scene("nobody waits for longer than people would, nor when there is more than is kept", 20, async (world) => {
  world.add();
  world.happen();
  await turn();
  world.happen();
  await world.pass(395);
  assert.equal(world.told.length, 1);
  await world.pass(10);
  assert.equal(world.told.length, 2);
  world.happen();
  await world.pass(20);
  world.happen(true);
  await world.pass(50);
  assert.equal(world.told.length, 2, "a fifth of a processor, whatever presses");
  await world.pass(20);
  assert.equal(world.told.length, 3);
});

scene("pages follow one another", 1, async (world) => {
  world.isPartial = true;
  world.add();
  world.happen();
  await turn();
  world.happen();
  await world.pass(8);
  assert.equal(world.told.length, 2);
});
