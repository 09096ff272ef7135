import type { Command } from "./command.ts";

/** Rows of the table: what happened, written down and played again. */
export const RECORDING_COMMANDS: readonly Command[] = [
  {
    words: ["record"],
    stepsBack: true,
    takes: ["file"],
    summary: "write what the daemon is told and does into a file that plays, from now on until ^C",
    usage: "FILE [ --last TIME ] [ --max SIZE ]",
    details: [
      "A copy of what the daemon writes into its black box anyway (`black_box` in the configuration), from the beginning of",
      "the part at hand: so that it plays, it begins somewhat earlier. With --last what happened already, also when the",
      "daemon has ended. Needs to read the daemon's files: root, the daemon's user, or its group.",
    ],
    options: [
      { name: "last", value: "TIME", kind: "free", says: "what happened in the last 30s, 5m, 2h; and end" },
      { name: "max", value: "SIZE", kind: "free", says: "end when the file has so much (default 256MB)" },
    ],
    examples: ["record bug.rec", "record bug.rec --last 5m"],
    load: () => import("./commands/record.ts"),
  },
  {
    words: ["replay"],
    stepsBack: true,
    takes: ["file"],
    summary: "play a recording: would this version do the same, and what would another policy have done?",
    usage: "FILE [ --events ] [ --at TIME ] [ --policy POLICY ] [ --config FILE ] [ --html FILE ]",
    details: [
      "Needs no rights and no kernel. Exit status: 0 the same, 3 this version plans otherwise.",
      "POLICY is a name with what is given of its parameters: --policy 'active-backup hold_down=2s'.",
    ],
    options: [
      { name: "events", says: "print what happened and what was done, a line each" },
      {
        name: "at",
        value: "TIME",
        kind: "free",
        says: "show what there was 12.5s after the beginning, and why not more",
      },
      {
        name: "policy",
        value: "POLICY",
        kind: "policy",
        says: "what this policy would have done, beside what was done",
      },
      { name: "config", value: "FILE", kind: "file", says: "the same with this configuration" },
      { name: "html", value: "FILE", kind: "file", says: "write it as one page with a time line" },
    ],
    examples: ["replay bug.rec", "replay bug.rec --at 12.5s", "replay bug.rec --policy fullmesh --html bug.html"],
    load: () => import("./commands/replay.ts"),
  },
  {
    words: ["history"],
    stepsBack: true,
    takes: ["token"],
    summary: "show what became of connections, those that are over too",
    usage: "[ TOKEN ] [ --last TIME ]",
    details: [
      "As far as the daemon's black box goes back (`black_box` in the configuration), also over restarts and kill -9. With",
      "TOKEN what happened to it and what was done for it. Root, the daemon's user and its group see everybody's; others",
      "their own, as the daemon tells them (`applications` in the configuration).",
    ],
    options: [
      { name: "last", value: "TIME", kind: "free", says: "those that were there in the last 30m, 2h (default 24h)" },
    ],
    examples: ["history", "history --last 1h", "history 1b2c3d4e"],
    load: () => import("./commands/history.ts"),
  },
];
