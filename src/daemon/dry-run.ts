import { type Choice, choosePathManager, hostConfig } from "../config/index.ts";
import { runtimeFiles } from "../control/index.ts";
import { commandLine, coverageTexts, diffMark, flagWords, type HostChange, type HostPlan } from "../host/index.ts";
import { kernelCapacity } from "../host-facts/index.ts";
import { MptcpPm, Rtnl } from "../netlink/index.ts";
import { ENDPOINT_FLAG, type Limits } from "../types/index.ts";
import { readState } from "./files/runtime.ts";
import { HostDriver } from "./host/driver.ts";
import { KernelEndpoints } from "./host/endpoint-port.ts";
import { HostState } from "./host/state.ts";
import { choiceFacts } from "./life/life.ts";
import { createLogger } from "./logger.ts";
import { savedQuotaUse } from "./quota/quotas.ts";
import { enterNetns, loadRunConfig, type RunOptions } from "./run.ts";

/** What `subflow run` would do now. */
export interface DryRun {
  readonly choice: Choice;
  readonly plan: HostPlan;
  /** In order: "+", "-" or "~", and the `ip` or `sysctl` command that it amounts to. */
  readonly steps: readonly { readonly mark: string; readonly command: string; readonly action: HostChange }[];
  /** What the path manager in charge cannot do with that, for people. */
  readonly uncovered: readonly string[];
}

/** Does the installed ip(8) take the flags of the endpoint? */
function isTaken(action: HostChange, ipFlags: ReadonlySet<string> | undefined): boolean {
  if (ipFlags === undefined) return false;
  if (action.type !== "endpoint.add") return true;
  return flagWords(action.endpoint.flags)
    .split(" ")
    .every((word) => word === "" || ipFlags.has(word));
}

function uncovered({ endpoints, limits }: HostPlan, current: Limits): string[] {
  const announces = endpoints.some(({ flags }) => flags & ENDPOINT_FLAG.signal);
  const texts = coverageTexts(endpoints, limits ?? current);
  return announces
    ? texts
    : [
        ...texts,
        "a client of this host with one address: no second subflow, as nothing is announced (profile: server)",
      ];
}

/**
 * Plans without touching anything; needs no rights beyond looking. `ipFlags`: what the installed ip(8) takes, undefined
 * where there is none; commands that it cannot take are written as ours.
 */
export function dryRun(options: RunOptions, ipFlags: ReadonlySet<string> | undefined): DryRun {
  if (options.netns !== undefined) enterNetns(options.netns);
  const { config } = loadRunConfig(options);
  const saved = readState(runtimeFiles());
  using pm = MptcpPm.open();
  const choice = choosePathManager(config, choiceFacts(saved, pm.endpoints()));
  using rtnl = Rtnl.open();
  using host = new HostDriver({
    endpoints: new KernelEndpoints(pm),
    rtnl,
    capacity: kernelCapacity(choice.pathManager),
    state: new HostState(saved?.host, () => undefined),
    connections: () => pm.lives(),
    closesSubflows: choice.pathManager === "kernel",
    quotaUsed: () => savedQuotaUse(options.netns),
    log: createLogger(config.log),
    now: () => performance.now(),
  });
  const { plan, actions } = host.preview(hostConfig(config, choice.pathManager));
  const program = (action: HostChange): string =>
    choice.pathManager === "kernel" && isTaken(action, ipFlags) ? "ip mptcp" : "subflow";
  const steps = actions.map((action) => ({
    mark: diffMark(action),
    command: commandLine(action, (index) => host.nameOf(index), program),
    action,
  }));
  return { choice, plan, steps, uncovered: choice.pathManager === "kernel" ? uncovered(plan, pm.limits()) : [] };
}
