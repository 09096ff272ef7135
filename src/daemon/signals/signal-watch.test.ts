import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { EngineEvent } from "../../engine/index.ts";
import { NetlinkError } from "../../netlink/index.ts";
import type { Address, Dbm } from "../../types/index.ts";
import { CodecError, WIFI_TYPE } from "../../wire/index.ts";
import { SignalWatch } from "./signal-watch.ts";

const WLAN = "192.0.2.1" as Address;
const WIRED = "192.0.2.9" as Address;

/** A watch over a made-up radio, whose second passes when `second` is called. */
class Scene implements Disposable {
  readonly told: (readonly [Address, Dbm][])[] = [];
  readonly asked = { open: 0, interfaces: 0, signal: 0 };
  readonly engine = { attentiveCount: 1, signals: new Set<Dbm>([-80, -75]) };
  readonly watch: SignalWatch;
  signal: Dbm | undefined | "refused" | "garbled" = -60;
  hasFamily = true;
  #now = 0;

  constructor() {
    mock.timers.enable({ apis: ["setTimeout"] });
    this.watch = new SignalWatch({
      engine: this.engine,
      handle: (event: EngineEvent) => {
        if (event.type === "host.signals") this.told.push([...event.signals]);
      },
      now: () => this.#now,
      open: () => {
        this.asked.open++;
        return this.hasFamily ? this.#radio() : undefined;
      },
    });
  }

  #radio() {
    return {
      interfaces: () => {
        this.asked.interfaces++;
        return [{ index: 3, name: "wlan0", type: WIFI_TYPE.STATION }];
      },
      signalOf: () => {
        this.asked.signal++;
        if (this.signal === "refused") throw new NetlinkError("read", { errno: 100 });
        if (this.signal === "garbled") throw new CodecError("cut", 0, "nl80211");
        return this.signal;
      },
      [Symbol.dispose]: () => undefined,
    };
  }

  begin(names: readonly (readonly [Address, string])[] = [[WLAN, "wlan0"]]): void {
    this.watch.setInterfaces(new Map(names));
    mock.timers.tick(0);
  }

  seconds(count = 1): void {
    for (let n = 0; n < count; n++) {
      this.#now += 1000;
      mock.timers.tick(1000);
    }
  }

  [Symbol.dispose](): void {
    this.watch[Symbol.dispose]();
    mock.timers.reset();
  }
}

test("it is read at once and then once a second, and told where it changes by 2 dB or crosses a bound", () => {
  using scene = new Scene();
  scene.begin();
  for (const signal of [-61, -59, -62, -79, -80, -81, -80, undefined, "refused", -74, "garbled"] as const) {
    scene.signal = signal;
    scene.seconds();
  }
  const values = scene.told.map((signals) => signals.map(([, dbm]) => dbm).join());
  assert.deepEqual(values, ["-60", "-62", "-79", "-81", "-80", "", "-74", ""]);
  assert.deepEqual(scene.asked, { open: 1, interfaces: 1, signal: 12 });
});

test("however often it is woken, it is read once a second", () => {
  using scene = new Scene();
  scene.begin();
  for (let n = 0; n < 100; n++) scene.watch.wake();
  mock.timers.tick(999);
  assert.equal(scene.asked.signal, 1);
});

test("nothing is asked while no policy looks at it; what was told is old then, and taken back", () => {
  using scene = new Scene();
  scene.engine.attentiveCount = 0;
  scene.begin();
  scene.seconds(5);
  assert.deepEqual(scene.asked, { open: 0, interfaces: 0, signal: 0 });
  scene.engine.attentiveCount = 1;
  scene.watch.wake();
  scene.seconds(2);
  assert.deepEqual(scene.told, [[[WLAN, -60]]]);
  scene.engine.signals.clear();
  scene.engine.attentiveCount = 0;
  scene.seconds(5);
  assert.deepEqual(scene.told.at(-1), []);
  const { signal } = scene.asked;
  scene.seconds(5);
  assert.equal(scene.asked.signal, signal);
});

test("a kernel without Wi-Fi is asked once, and again when interfaces change", () => {
  using scene = new Scene();
  scene.hasFamily = false;
  scene.begin();
  scene.seconds(10);
  for (let n = 0; n < 10; n++) scene.watch.wake();
  scene.seconds(10);
  assert.deepEqual([scene.asked, scene.told], [{ open: 1, interfaces: 0, signal: 0 }, []]);
  scene.hasFamily = true;
  scene.begin([[WIRED, "eth0"]]);
  scene.seconds(10);
  assert.deepEqual([scene.asked.signal, scene.told], [0, []], "a radio without an address is nobody's path");
  scene.begin([
    [WIRED, "eth0"],
    [WLAN, "wlan0"],
  ]);
  scene.seconds(1);
  assert.deepEqual(scene.told, [[[WLAN, -60]]]);
  scene.begin([[WIRED, "eth0"]]);
  scene.seconds(1);
  assert.deepEqual(scene.told.at(-1), []);
});

test("ended, it is quiet", () => {
  const scene = new Scene();
  scene.begin();
  scene.watch[Symbol.dispose]();
  scene.seconds(5);
  assert.equal(scene.asked.signal, 1);
  scene[Symbol.dispose]();
});
