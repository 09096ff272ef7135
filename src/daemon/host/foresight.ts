import {
  endpointKey,
  type HostAction,
  type HostAddress,
  type HostChange,
  type HostFacts,
  type HostMemory,
} from "../../host/index.ts";
import {
  type AnswerCounts,
  type Given,
  type NetlinkSubscription,
  PreparedAnswers,
  type Request,
} from "../../netlink/index.ts";
import { type Address, AF_INET6, familyOf, formatAddress, parseAddress } from "../../types/index.ts";
import {
  type ExpectedLocalRoute,
  type ExpectedRoute,
  expectedDefaultRoute,
  expectedLocalRoute,
  expectedLocalRoute6,
  IFA_F,
  type Route,
} from "../../wire/index.ts";
import type { Ahead } from "../ahead.ts";
import { type EndpointPort, newEndpoint } from "./endpoint-port.ts";

type Requests = NonNullable<EndpointPort["requests"]>;
type Addition = Extract<HostChange, { readonly type: "endpoint.add" }>;
/** What goes to the table of endpoints and closes nothing. */
type Gain = Extract<HostChange, { readonly type: "endpoint.add" | "limits.set" }>;

/** What went out, in the order of the requests. */
interface Meaning {
  gains: readonly Gain[];
  /** Where the message has the address that the endpoint got; undefined: it is known. */
  readonly addressAt?: number;
}

/** Slots of the addon, of which the first that fits decides; what has none is served when JavaScript hears of it. */
const NEVER_SLOT = 0;
/** Of each kind: new addresses, one pattern a link; addresses whose duplicate address detection goes on; default routes that were there. */
const EACH_MAX = 15;
const LINK_SLOT = NEVER_SLOT + 1;
const TENTATIVE_SLOT = LINK_SLOT + EACH_MAX;
const ROUTE_SLOT = TENTATIVE_SLOT + EACH_MAX;
/** Any address of 169.254.0.0/16, which a host gives itself when nobody else did: never a path. */
const SELF_ASSIGNED = parseAddress("169.254.0.0") as Address;
const SELF_ASSIGNED_BYTES = 2;
const IPV4_BYTES = 4;

/**
 * What goes out before JavaScript hears why: the host plan is pure, so what a gain leads to is known beforehand. A new IPv4 address is expected
 * whichever it is; an IPv6 address when it is tentative, by its local route, which comes when it is its own; a default route as it was there
 * before. The manager hears of it afterwards, and comes to the same. A loss is not foreseen: whether an endpoint may go depends on
 * the connections of that moment (LastPaths).
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

  /**
   * Thinks everything over: after each change of the facts, or of what is done with them.
   * @param lost default routes that were there and may come again
   */
  renew(facts: HostFacts, memory: HostMemory, lost: readonly Route[]): void {
    this.#answers.withdraw();
    // Whoever keeps removing ours is not to be met with another.
    if (memory.yielded.size > 0) return;
    // The limits before us are written down before they are changed.
    const isForeseeable = ({ type }: HostAction): boolean => type !== "limits.set" || memory.limits !== undefined;
    const actionsFor = (some: HostFacts): readonly HostAction[] => {
      const actions = this.#actionsFor(some);
      return actions.every(isForeseeable) ? actions : [];
    };
    this.#foreseeAddresses(facts, actionsFor);
    this.#foreseeTentative(facts, actionsFor);
    for (const [nth, route] of lost.slice(0, EACH_MAX).entries())
      this.#foreseeRoute(ROUTE_SLOT + nth, expectedDefaultRoute(route), () =>
        actionsFor({ ...facts, routes: [...facts.routes, route] }),
      );
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

  #additions({ meaning: { gains, addressAt }, from, requests }: Given<Meaning>): Addition[] {
    const done = gains.filter((_, nth) => requests[nth] && !requests[nth].error).filter(isAddition);
    if (addressAt === undefined) return done;
    const address = formatAddress(this.#subscription.bytes, from + addressAt, IPV4_BYTES);
    return done.map((addition) => ({ ...addition, endpoint: { ...addition.endpoint, address } }));
  }

  #foreseeAddresses(facts: HostFacts, actionsFor: (facts: HostFacts) => readonly HostAction[]): void {
    const never = expectedLocalRoute(SELF_ASSIGNED, 0);
    const { at } = never.destination;
    const rest = { at: at + SELF_ASSIGNED_BYTES, length: IPV4_BYTES - SELF_ASSIGNED_BYTES };
    this.#answers.hold(NEVER_SLOT, never.message, [never.flags, rest, never.preferredSource, never.outputInterface]);
    for (const [nth, { index }] of facts.links.slice(0, EACH_MAX).entries()) {
      this.#foreseeAddress(LINK_SLOT + nth, expectedLocalRoute(SELF_ASSIGNED, index), (address) =>
        actionsFor({ ...facts, addresses: [...facts.addresses, permanent(address, index)] }),
      );
    }
  }

  #foreseeAddress(
    slot: number,
    { message: sample, flags, destination, preferredSource }: ExpectedLocalRoute,
    actionsWith: (address: Address) => readonly HostAction[],
  ): void {
    const meaning: Meaning = { addressAt: destination.at, gains: [] };
    this.#answers.prepare(slot, {
      sample,
      varying: [flags, destination, preferredSource],
      once: true,
      meaning,
      answer: (message) => {
        const address = formatAddress(message, destination.at, IPV4_BYTES);
        const gains = onlyGains(actionsWith(address));
        const additions = gains.filter(isAddition);
        // Of several it could not be said which one has the message's address.
        if (additions.length !== 1 || endpointKey(additions[0]!.endpoint) !== address) return undefined;
        meaning.gains = gains;
        return gains.map((gain) => this.#request(gain));
      },
    });
  }

  /** An address that may be another host's is no path; when the kernel knows that it is not, it takes packets to it. */
  #foreseeTentative(facts: HostFacts, actionsFor: (facts: HostFacts) => readonly HostAction[]): void {
    const { addresses } = facts;
    const tentative = addresses.filter(({ address, flags }) => {
      return familyOf(address) === AF_INET6 && flags & IFA_F.TENTATIVE && !(flags & IFA_F.OPTIMISTIC);
    });
    for (const [nth, each] of tentative.slice(0, EACH_MAX).entries()) {
      const own = { ...each, flags: each.flags & ~IFA_F.TENTATIVE };
      const then = addresses.map((other) => (other === each ? own : other));
      this.#foreseeRoute(TENTATIVE_SLOT + nth, expectedLocalRoute6(each.address, each.interfaceIndex), () =>
        actionsFor({ ...facts, addresses: then }),
      );
    }
  }

  #foreseeRoute(
    slot: number,
    { message: sample, varying, anchor }: ExpectedRoute,
    actions: () => readonly HostAction[],
  ): void {
    const gains = onlyGains(actions());
    if (!gains.some(isAddition)) return;
    const answer = () => gains.map((gain) => this.#request(gain));
    this.#answers.prepare(slot, { sample, varying, anchor, once: true, meaning: { gains }, answer });
  }

  #request(gain: Gain): Request {
    if (gain.type === "limits.set") return this.#requests.setLimits(gain.limits);
    return this.#requests.add(newEndpoint(gain.endpoint));
  }
}

function permanent(address: Address, interfaceIndex: number): HostAddress {
  return { interfaceIndex, address, prefixLength: 32, flags: IFA_F.PERMANENT, scope: 0, peer: undefined };
}

function isAddition(gain: Gain): gain is Addition {
  return gain.type === "endpoint.add";
}

/** What is to be done, when all of it is gains; else nothing. */
function onlyGains(actions: readonly HostAction[]): readonly Gain[] {
  const gains = actions.filter(({ type }) => type === "limits.set" || type === "endpoint.add") as Gain[];
  return gains.length === actions.length ? gains : [];
}
