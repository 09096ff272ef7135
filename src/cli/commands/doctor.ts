import { enterNetns } from "../../daemon/index.ts";
import {
  type DoctorFacts,
  diagnose,
  type Finding,
  type FixPlace,
  fixCommand,
  type Level,
  worstLevel,
} from "../../doctor/index.ts";
import { SubflowError } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { applyStep, readYes } from "../diagnosis/fix.ts";
import { gatherFacts } from "../diagnosis/gather.ts";
import { ipFlags } from "../diagnosis/ip-flags.ts";
import { findingsJson, findingsText, notLookedText, summaryText } from "../diagnosis/text.ts";
import { EXIT, usageError } from "../failure.ts";
import { machine, renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { isTerminalDescriptor } from "../streams.ts";

const STATUS: Record<Level, number> = {
  ok: EXIT.success,
  note: EXIT.success,
  warning: EXIT.warnings,
  error: EXIT.errors,
};

/** `doctor`: the findings of the host, of a program, or with --path a test of each path. */
export async function run(context: Context): Promise<number> {
  const { values, words } = parseOptions(context);
  if (values.join && values.path === undefined) throw usageError("Error: --join is for --path HOST.");
  const { netns } = context.global;
  if (words[0] !== undefined && (values.path !== undefined || values.fix !== undefined))
    throw usageError("Error: COMMAND is looked at alone, without --path and --fix.");
  if (netns !== undefined) enterNetns(netns);
  if (words[0] !== undefined) {
    const { examineProgram } = await import("../diagnosis/program-command.ts");
    return STATUS[examineProgram(context, words[0], values.all !== undefined)];
  }
  if (values.path !== undefined) {
    const { testPaths } = await import("../diagnosis/path-command.ts");
    return testPaths(context, values.path, { join: values.join !== undefined });
  }
  let examination = await examine(netns);
  let applied: Applied[] = [];
  if (values.fix) {
    applied = await repair(context, examination, values.yes !== undefined);
    if (applied.length > 0) examination = await examine(netns);
  }
  print(context, { ...examination, applied, all: values.all !== undefined });
  return STATUS[worstLevel(examination.findings)];
}

interface Examination {
  readonly facts: DoctorFacts;
  readonly findings: readonly Finding[];
  readonly place: FixPlace;
}

async function examine(netns: string | undefined): Promise<Examination> {
  const facts = await gatherFacts({ isForeign: netns !== undefined });
  return {
    facts,
    findings: diagnose(facts),
    place: { netns, userspace: facts.daemon === "userspace", ipFlags: ipFlags() },
  };
}

function print(
  { global, streams }: Context,
  {
    facts,
    findings,
    place,
    applied,
    all,
  }: Examination & { readonly applied: readonly Applied[]; readonly all: boolean },
): void {
  if (global.json) {
    const { notLooked } = facts;
    const level = worstLevel(findings);
    const value = { level, findings: findingsJson(findings, place), notLooked, applied };
    return streams.out(renderJson(machine(value), global.pretty));
  }
  streams.out(findingsText(all ? findings : findings.filter(({ level }) => level !== "ok"), place, streams));
  streams.out(notLookedText(facts.notLooked, streams));
  streams.out(summaryText(findings));
}

/** A command that was run, and what came of it. */
interface Applied {
  readonly command: string;
  readonly error: string | undefined;
}

/** Applies the safe fixes of warnings and errors, when it is told to. */
async function repair(
  { global, streams }: Context,
  { findings, place }: Examination,
  yes: boolean,
): Promise<Applied[]> {
  const safe = findings.filter(({ safe, level }) => safe && (level === "warning" || level === "error"));
  const steps = new Map(safe.flatMap(({ fix }) => fix).map((step) => [fixCommand(step, place), step]));
  // With -j standard output is for the machine alone.
  const say = (text: string): void => (global.json ? streams.err(text) : streams.out(text));
  if (steps.size === 0) {
    say("Nothing that could be mended without harm.\n");
    return [];
  }
  for (const command of steps.keys()) say(`  ${command}\n`);
  if (!yes) {
    if (!isTerminalDescriptor(0))
      throw usageError("Error: nobody to ask on standard input; --yes applies the commands above.");
    say("Run these commands? [y/N] ");
    if (!readYes()) return [];
  }
  const applied: Applied[] = [];
  for (const [command, step] of steps) {
    const error = await attempt(() => applyStep(step, place));
    say(
      `${streams.paint(error === undefined ? "good" : "bad", error === undefined ? "done  " : "failed")} ${command}${error === undefined ? "" : `: ${error}`}\n`,
    );
    applied.push({ command, error });
  }
  return applied;
}

async function attempt(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof SubflowError)) throw error;
    return error.message;
  }
}
