import { ERRNO, type Millis, type Token, unmap } from "../types/index.ts";
import { beginMemory } from "./consult.ts";
import { parseDelay } from "./delay.ts";
import type { ConfigChanged, PoliciesChanged } from "./events.ts";
import type { Connection } from "./model.ts";
import { type GivenValues, parseValue } from "./parameters.ts";
import { consider } from "./plan.ts";
import type { Policy } from "./policy.ts";
import type { RemotePolicy } from "./remote/plain.ts";
import { StandIn } from "./remote/remote.ts";
import type { Owner, Rule } from "./rules/rule.ts";
import { RuleSet } from "./rules/rule-set.ts";
import type { State } from "./state.ts";
import type { Refusal } from "./table.ts";
import { type CompiledRules, Treatment, type TreatmentOptions } from "./treatment.ts";

/**
 * How connections are treated from now on: the policy and its parameters where no rule is for them, and the rules. A policy that is none changes
 * nothing: the configuration's reader has refused it.
 */
export function chooseTreatments(
  state: State,
  { policy: name, given, delay, rules = [], onlyNew }: ConfigChanged,
): void {
  const policy = state.policies.find((candidate) => candidate.name === name);
  if (!policy) return;
  const base = { policy, given, delay };
  const compiled = compile(state, rules, base);
  const next = new Treatment(base);
  const isSame = next.isLike(state.treatment) && isSameRules(compiled, state.rules);
  if (isSame) return;
  state.treatment = next;
  state.rules = compiled;
  state.treatmentChanges++;
  if (onlyNew) return;
  for (const connection of state.connections.values())
    if (!connection.treatment.isByHand) assignAnew(state, connection);
}

function compile(state: State, rules: readonly Rule[], base: TreatmentOptions): CompiledRules | undefined {
  if (rules.length === 0) return undefined;
  const treatments = rules.map(({ name, policy: wanted, given, limits, interfaces, delay = base.delay }) => {
    const policy = state.policies.find((candidate) => candidate.name === wanted);
    return new Treatment({ ...base, ...(policy && { policy, given }), limits, interfaces, delay, rule: name });
  });
  const nameInterfaces = rules.some(
    ({ match, interfaces }) => match.interfaces !== undefined || interfaces !== undefined,
  );
  return { set: new RuleSet(rules), treatments, nameInterfaces };
}

function isSameRules(a: CompiledRules | undefined, b: CompiledRules | undefined): boolean {
  return JSON.stringify(a?.set.rules) === JSON.stringify(b?.set.rules);
}

/** Finds the rule for a connection that begins. False: something has to be looked up before. */
export function assign(state: State, connection: Connection): boolean {
  const next = find(state, connection);
  if (next) connection.treatment = next;
  return next !== undefined;
}

function assignAnew(state: State, connection: Connection): void {
  const next = find(state, connection);
  if (next) treat(state, connection, next);
}

const NO_CONNECTION: Refusal = {
  errno: ERRNO.ENOENT,
  message: "no connection of the userspace path manager has this token",
};

/** So long a look at who has a socket may take; then it counts as unknown. */
const OWNER_MAX: Millis = 2000;

function find(state: State, connection: Connection): Treatment | undefined {
  const { rules } = state;
  if (!rules) return state.treatment;
  const { side, initial, owner, token } = connection;
  const interfaceName = state.interfaceNames.get(unmap(initial.local.address));
  const found = rules.set.find({ side, initial, interfaceName }, owner);
  if ("rule" in found) return found.rule === undefined ? state.treatment : rules.treatments[found.rule];
  connection.ownerBy = state.now + OWNER_MAX;
  state.act({ type: "owner.query", token, needs: found.needs, path: initial });
  return undefined;
}

/** Whose it is has been looked up: the rules are asked again, and what waited for it is done. */
export function ownerKnown(state: State, connection: Connection, owner: Owner): void {
  connection.owner = owner;
  connection.ownerBy = undefined;
  // Somebody has asked for a policy meanwhile.
  if (connection.treatment.isByHand) return;
  const next = find(state, connection);
  if (!next) return;
  const isBeginning = connection.memory === undefined && connection.treatment === state.treatment;
  if (!isBeginning) {
    treat(state, connection, next);
    return;
  }
  put(state, connection, next);
  beginMemory(state, connection);
  consider(state, connection, { type: "established", again: false });
}

/** Policies in other processes came, went, answer or answer no more. Whose policy that is is asked again. */
export function remotesChanged(state: State, { elsewhere }: PoliciesChanged): void {
  const before = state.remotes;
  state.remotes = new Map(elsewhere.map((each) => [each.name, each]));
  for (const { name, measures, signals } of elsewhere) {
    const known = state.policies.find((policy) => policy.name === name);
    const standIn = known instanceof StandIn ? known : new StandIn(name);
    if (measures !== undefined) standIn.measures = measures;
    if (signals !== undefined) standIn.signals = signals;
    if (!known) state.policies = [...state.policies, standIn];
  }
  for (const connection of state.connections.values()) {
    const { name } = connection.treatment.policy;
    const now = state.remotes.get(name);
    if (!now || isSameStanding(before.get(name), now)) continue;
    watchFor(state, connection);
    consider(state, connection, { type: "policy" });
  }
}

function isSameStanding(before: RemotePolicy | undefined, now: RemotePolicy): boolean {
  return (
    before?.isUp === now.isUp &&
    before.measures === now.measures &&
    String(before.signals ?? "") === String(now.signals ?? "")
  );
}

/** From now on the connection is treated so. Its policy begins anew if that is another, or has other parameters. */
export function treat(state: State, connection: Connection, next: Treatment): void {
  const isAnother = next.text !== connection.treatment.text;
  put(state, connection, next);
  if (isAnother) beginMemory(state, connection);
  consider(state, connection, { type: isAnother ? "policy" : "limits" });
}

function put(state: State, connection: Connection, next: Treatment): void {
  const before = connection.treatment.measures;
  connection.treatment = next;
  state.watch.onTreatment(before);
  watchFor(state, connection);
}

/** It is looked at now and then where there is something to choose from, or its policy wants to know; and told of what its policy asks for. */
export function watchFor(state: State, connection: Connection): void {
  const { measures, signals, triesAgain } = connection.treatment;
  if (signals.length > 0) state.attentive.add(connection);
  else state.attentive.delete(connection);
  if (!triesAgain) return;
  if (measures !== undefined || connection.subflows.length > 1) state.watch.add(connection);
}

/** Somebody asks for a policy of one connection, and perhaps (as if it were a parameter of each) for a delay. */
export function setPolicy(
  state: State,
  { token, policy: name, given }: { readonly token: Token; readonly policy: string; readonly given: GivenValues },
): Refusal | undefined {
  const connection = state.connections.get(token);
  if (!connection?.owned) return NO_CONNECTION;
  const policy = state.policies.find((candidate) => candidate.name === name);
  if (!policy) {
    const names = state.policies.map((each) => each.name).join(", ");
    return { errno: ERRNO.EINVAL, message: `there is no policy ${name}; there are ${names}` };
  }
  const { delay: written, ...rest } = given;
  const delay = written === undefined ? { delay: undefined } : parseDelay(written);
  if ("fault" in delay) return { errno: ERRNO.EINVAL, message: `delay: ${delay.fault}` };
  const checked = state.remotes.has(name) ? { given: rest } : checkGiven(policy, rest);
  if ("fault" in checked) return { errno: ERRNO.EINVAL, message: checked.fault };
  treat(state, connection, connection.treatment.withPolicy(policy, checked.given, delay.delay));
  return undefined;
}

/** What somebody asked for holds no longer: the configuration's rules are asked again. One that nobody asked anything of stays as it is. */
export function unsetPolicy(state: State, { token }: { readonly token: Token }): Refusal | undefined {
  const connection = state.connections.get(token);
  if (!connection?.owned) return NO_CONNECTION;
  // Until it is known whose it is, where a rule asks for that, it is treated as one that no rule is for.
  if (connection.treatment.isByHand) treat(state, connection, find(state, connection) ?? state.treatment);
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
