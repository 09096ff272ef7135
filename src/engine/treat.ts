import { ERRNO, type Token } from "../types/index.ts";
import { beginMemory } from "./consult.ts";
import type { ConfigChanged } from "./events.ts";
import type { Connection } from "./model.ts";
import { type GivenValues, parseValue } from "./parameters.ts";
import { consider } from "./plan.ts";
import type { Policy } from "./policy.ts";
import type { State } from "./state.ts";
import type { Refusal } from "./table.ts";
import { Treatment } from "./treatment.ts";

/** Which policy connections have, and with which parameters. A name that is none changes nothing: the configuration's reader has refused it. */
export function chooseTreatments(state: State, { policy: name, given, delay }: ConfigChanged): void {
  const policy = state.policies.find((candidate) => candidate.name === name);
  if (!policy) return;
  const next = new Treatment({ policy, given, delay });
  if (next.text === state.treatment.text && next.delay === state.treatment.delay) return;
  state.treatment = next;
  state.treatmentChanges++;
  for (const connection of state.connections.values())
    if (!connection.treatment.isByHand) treat(state, connection, next);
}

/** From now on the connection is treated so. Its policy begins anew if that is another, or has other parameters. */
export function treat(state: State, connection: Connection, next: Treatment): void {
  const isAnother = next.text !== connection.treatment.text;
  connection.treatment = next;
  watchFor(state, connection);
  if (isAnother) beginMemory(state, connection);
  consider(state, connection, { type: isAnother ? "policy" : "limits" });
}

/** It is looked at now and then where there is something to choose from, or its policy wants to know. */
export function watchFor(state: State, connection: Connection): void {
  const { measures, triesAgain } = connection.treatment;
  if (!triesAgain) return;
  if (measures !== undefined && measures < state.measures) state.measures = measures;
  if (measures !== undefined || connection.subflows.length > 1) state.watch.add(connection);
}

/** Somebody asks for a policy of one connection. */
export function setPolicy(
  state: State,
  { token, policy: name, given }: { readonly token: Token; readonly policy: string; readonly given: GivenValues },
): Refusal | undefined {
  const connection = state.connections.get(token);
  if (!connection?.owned)
    return { errno: ERRNO.ENOENT, message: "no connection of the userspace path manager has this token" };
  const policy = state.policies.find((candidate) => candidate.name === name);
  if (!policy) {
    const names = state.policies.map((each) => each.name).join(", ");
    return { errno: ERRNO.EINVAL, message: `there is no policy ${name}; there are ${names}` };
  }
  const checked = checkGiven(policy, given);
  if ("fault" in checked) return { errno: ERRNO.EINVAL, message: checked.fault };
  treat(state, connection, connection.treatment.withPolicy(policy, checked.given));
  return undefined;
}

/** Parameters as somebody wrote them, by name, checked one by one. */
export function checkGiven(
  { name, parameters = {} }: Policy,
  written: Readonly<Record<string, unknown>>,
): { readonly given: GivenValues } | { readonly fault: string } {
  const given: Record<string, GivenValues[string]> = {};
  for (const [key, text] of Object.entries(written)) {
    const parameter = Object.hasOwn(parameters, key) ? parameters[key] : undefined;
    if (!parameter) {
      const names = Object.keys(parameters).join(", ");
      return { fault: `policy ${name} has no parameter ${key}; ${names === "" ? "it has none" : `it has ${names}`}` };
    }
    const parsed = parseValue(parameter, text);
    if ("fault" in parsed) return { fault: `${key}: ${parsed.fault}` };
    given[key] = parsed.value;
  }
  return { given };
}
