import { endpointKey, type HostAction, type HostAddress, type HostFacts, type HostMemory } from "../../host/index.ts";
import {
  type AnswerCounts,
  type Given,
  type NetlinkSubscription,
  PreparedAnswers,
  type Request,
} from "../../netlink/index.ts";
import { type Address, formatAddress, parseAddress } from "../../types/index.ts";
import { type ExpectedLocalRoute, expectedLocalRoute, IFA_F } from "../../wire/index.ts";
import type { Ahead } from "../ahead.ts";
import { type EndpointPort, newEndpoint } from "./endpoint-port.ts";

type Requests = NonNullable<EndpointPort["requests"]>;
type Addition = Extract<HostAction, { readonly type: "endpoint.add" }>;
type Gain = Addition | Extract<HostAction, { readonly type: "limits.set" }>;

/** What went out, with some address, and where the message has the real one. */
interface Meaning {
  addition?: Addition;
  readonly addressAt: number;
}

/** Slots of the addon, of which the first that fits decides; what has none is served when JavaScript hears of it. */
const NEVER_SLOT = 0;
const LINKS_MAX = 15;
/** Any address of 169.254.0.0/16, which a host gives itself when nobody else did: never a path. */
const SELF_ASSIGNED = parseAddress("169.254.0.0") as Address;
const SELF_ASSIGNED_BYTES = 2;
const IPV4_BYTES = 4;

/**
 * What goes out before JavaScript hears why: the host plan is pure, so what a new IPv4 address leads to is known beforehand, whichever
 * it is. The manager hears of it afterwards, and comes to the same. A loss is not foreseen: whether an endpoint may go depends on
 * the connections of that moment (LastPathGuard).
 */
export class HostForesight implements Ahead<Addition> {
  readonly #answers: PreparedAnswers<Meaning>;
  readonly #subscription: NetlinkSubscription;
  readonly #requests: Requests;
  readonly #actionsFor: (facts: HostFacts) => readonly HostAction[];
  /** @param actionsFor what would be done with these facts */
  constructor(
    subscription: NetlinkSubscription,
    requests: Requests,
    actionsFor: (facts: HostFacts) => readonly HostAction[],
  ) {
    this.#answers = new PreparedAnswers(subscription);
    this.#subscription = subscription;
    this.#requests = requests;
    this.#actionsFor = actionsFor;
  }

  [Symbol.dispose](): void {
    this.#answers[Symbol.dispose]();
  }

  /** Thinks everything over: after each change of the facts, or of what is done with them. */
  renew(facts: HostFacts, memory: HostMemory): void {
    this.#answers.withdraw();
    // Whoever keeps removing ours is not to be met with another.
    if (memory.yielded.size === 0) this.#foreseeGains(facts, memory);
  }

  get counts(): AnswerCounts {
    return this.#answers.counts;
  }

  withdraw(): void {
    this.#answers.withdraw();
  }

  /** Endpoints that were added ahead of the batch at hand. */
  given(): readonly Addition[] {
    return this.#answers.given().flatMap((given) => this.#additions(given));
  }

  #additions({ meaning: { addition, addressAt }, from, requests }: Given<Meaning>): Addition[] {
    if (!addition || requests.some(({ error }) => error)) return [];
    const address = formatAddress(this.#subscription.bytes, from + addressAt, IPV4_BYTES);
    return [{ ...addition, endpoint: { ...addition.endpoint, address } }];
  }

  #foreseeGains(facts: HostFacts, { limits }: HostMemory): void {
    // The limits before us are written down before they are changed.
    const isForeseeable = ({ type }: HostAction): boolean => type !== "limits.set" || limits !== undefined;
    const actionsFor = (some: HostFacts): readonly HostAction[] => {
      const actions = this.#actionsFor(some);
      return actions.every(isForeseeable) ? actions : [];
    };
    const never = expectedLocalRoute(SELF_ASSIGNED, 0);
    const { at } = never.destination;
    const rest = { at: at + SELF_ASSIGNED_BYTES, length: IPV4_BYTES - SELF_ASSIGNED_BYTES };
    this.#answers.hold(NEVER_SLOT, never.message, [never.flags, rest, never.preferredSource, never.outputInterface]);
    for (const [nth, { index }] of facts.links.slice(0, LINKS_MAX).entries()) {
      this.#foreseeGain(NEVER_SLOT + 1 + nth, expectedLocalRoute(SELF_ASSIGNED, index), (address) =>
        actionsFor({ ...facts, addresses: [...facts.addresses, permanent(address, index)] }),
      );
    }
  }

  #foreseeGain(
    slot: number,
    { message: sample, flags, destination, preferredSource }: ExpectedLocalRoute,
    actionsWith: (address: Address) => readonly HostAction[],
  ): void {
    const meaning: Meaning = { addressAt: destination.at };
    this.#answers.prepare(slot, {
      sample,
      varying: [flags, destination, preferredSource],
      once: true,
      meaning,
      answer: (message) => {
        const address = formatAddress(message, destination.at, IPV4_BYTES);
        const gain = onlyGain(actionsWith(address), address);
        if (!gain) return undefined;
        meaning.addition = gain.addition;
        return gain.actions.map((action) => this.#request(action));
      },
    });
  }

  #request(action: Gain): Request {
    if (action.type === "limits.set") return this.#requests.setLimits(action.limits);
    return this.#requests.add(newEndpoint(action.endpoint));
  }
}

function permanent(address: Address, interfaceIndex: number): HostAddress {
  return { interfaceIndex, address, prefixLength: 32, flags: IFA_F.PERMANENT, scope: 0, peer: undefined };
}

/** The addition of an endpoint with this address, when nothing else is to do but to set limits. */
function onlyGain(
  all: readonly HostAction[],
  address: Address,
): { readonly addition: Addition; readonly actions: readonly Gain[] } | undefined {
  const actions = all.filter((action) => action.type === "limits.set" || action.type === "endpoint.add");
  const [addition, ...others] = actions.filter((action) => action.type === "endpoint.add");
  if (!addition || others.length > 0 || actions.length < all.length) return undefined;
  return endpointKey(addition.endpoint) === address ? { addition, actions } : undefined;
}
