import type { GivenValues, Parameters, PlainOccasion, PlainView, RemotePlan } from "../engine/index.ts";

/** Of what the daemon and a plug-in's process say to each other; the process says it first. */
export const PLUGIN_VERSION = 2;

/** Daemon → process, a line each: what should be? */
export interface PlanRequest {
  readonly type: "plan";
  readonly id: number;
  readonly view: PlainView;
  readonly occasion: PlainOccasion;
  /** As it was answered the last time; absent: it has none yet. */
  readonly memory?: unknown;
  /** Parameters as somebody wrote them. */
  readonly given: GivenValues;
}

/** Process → daemon, first: it is there. */
export interface PluginHello {
  readonly type: "hello";
  readonly version: number;
  readonly about: string;
  readonly measures?: number | undefined;
  readonly signals?: readonly number[] | undefined;
  readonly parameters: Parameters;
}

/** Process → daemon: the plan, or why there is none. */
export type PlanAnswer =
  | { readonly type: "plan"; readonly id: number; readonly plan: RemotePlan }
  | { readonly type: "fault"; readonly id: number; readonly fault: string };

/** Process → daemon, instead of hello: the module cannot be used. */
export interface PluginUseless {
  readonly type: "useless";
  readonly fault: string;
}

export type FromPlugin = PluginHello | PlanAnswer | PluginUseless;
