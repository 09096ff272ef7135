import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Action, EngineEvent, Policy } from "../../src/engine/index.ts";
import { policies } from "../../src/policies/index.ts";
import { type Damage, type Entry, Player, RecordingReader, RecordingWriter } from "../../src/recording/index.ts";
import { type SimulationOptions, simulate } from "../../src/sim/index.ts";
import type { Millis } from "../../src/types/index.ts";

const SEEDS = 1000;
const STEPS = 60;
/** A frame holds so many bytes or a little more. */
const FRAME = 4096;

type Policies = readonly [Policy, ...Policy[]];

/** One policy in charge, the others to choose from. */
function first(seed: number): Policies {
  const chosen = policies[seed % policies.length]!;
  return [chosen, ...policies.filter((policy) => policy !== chosen)];
}

interface Recorded {
  readonly bytes: Uint8Array;
  readonly events: number;
}

/** A run as a recording. @param change of what is written, to see that it shows */
function record(
  options: SimulationOptions,
  change: (actions: readonly Action[]) => readonly Action[] = (all) => all,
): Recorded {
  const writer = new RecordingWriter();
  const frames: Uint8Array[] = [];
  let events = 0;
  let lives = 0;
  const take = (): void => void frames.push(writer.take() ?? new Uint8Array());
  simulate({
    ...options,
    observer: {
      onBegin(at: Millis) {
        take();
        writer.begin({
          ...{
            type: "begin",
            at,
            epoch: 0,
            life: String(lives++),
            part: 0,
            before: 0,
            version: "1",
            kernel: "simulated",
          },
          ...{ pathManager: "userspace", engine: { timing: options.timing, setUp: [] } },
        });
      },
      onEvent(event: EngineEvent, actions: readonly Action[], at: Millis) {
        events++;
        assert.ok(writer.add({ type: "event", at, event, actions: change(actions) }));
        if (writer.size > FRAME) take();
      },
    },
  });
  take();
  return { bytes: Buffer.concat(frames), events };
}

function entriesOf(bytes: Uint8Array, piece = 1 << 16): (Entry | Damage)[] {
  const reader = new RecordingReader();
  const entries: (Entry | Damage)[] = [];
  for (let at = 0; at < bytes.length; at += piece) entries.push(...reader.push(bytes.subarray(at, at + piece)));
  return [...entries, ...reader.end()];
}

describe("what the simulator did plays again", () => {
  test(`${SEEDS} seeds, all policies: every action is the same`, (context) => {
    let [events, size, lives] = [0, 0, 0];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const own = first(seed);
      const options = { seed, steps: STEPS, policies: own, faults: { restart: 0.02 }, severalPerPair: true };
      const recorded = record(options);
      const player = new Player({
        policies: own,
        onDifference: (difference) => assert.fail(`seed ${seed}: ${JSON.stringify(difference, undefined, 1)}`),
      });
      for (const entry of entriesOf(recorded.bytes)) player.play(entry);
      assert.equal(player.played.events, recorded.events, `seed ${seed}`);
      assert.equal(player.played.damages, 0, `seed ${seed}`);
      events += recorded.events;
      size += recorded.bytes.length;
      lives += player.played.lives;
    }
    assert.ok(lives > SEEDS, "some were restarted");
    context.diagnostic(`${events} events in ${lives} lives, ${(size / events).toFixed(1)} bytes an event`);
  });

  test("an action that was not done, or another, shows", () => {
    const own = first(1);
    const options = { seed: 7, steps: 400, policies: own };
    let changed = 0;
    const { bytes } = record(options, (actions) => {
      if (changed > 0 || actions[0]?.type !== "subflow.create") return actions;
      changed++;
      return actions.slice(1);
    });
    assert.equal(changed, 1);
    const differences: string[] = [];
    const player = new Player({
      policies: own,
      onDifference: ({ planned }) => differences.push(planned[0]?.type ?? ""),
    });
    for (const entry of entriesOf(bytes)) player.play(entry);
    assert.equal(differences[0], "subflow.create");
  });
});
